# SPDX-License-Identifier: MIT
"""The manual pages are well formed and true; the completions load and complete."""
import glob
import json
import os
import pty
import re
import select
import tempfile
import time

import harness

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
GENERATED = os.environ.get("CLONE2_GENERATED") or os.path.join(harness.BUILD, "supervisor/man")
SHIM_GENERATED = os.environ.get("CLONE2_SHIM_GENERATED") or os.path.dirname(harness.SHIM)
ARCHIVE = os.environ.get("CLONE2_ARCHIVE") or os.path.join(harness.BUILD, "shim/libclone2.a")
PAGES = {os.path.basename(path): path for folder in (GENERATED, os.path.join(ROOT, "*", "man"))
         for path in glob.glob(os.path.join(folder, "*.[1-8]"))}


def text_of(name):
    with open(PAGES[name], encoding="utf-8") as page:
        return page.read()


class Manuals(harness.Case):
    def test_all_are_here(self):
        self.assertEqual(sorted(PAGES), ["clone2-policy.5", "clone2-shim.1", "clone2-supervise.1",
                                         "clone2.2", "clone2supervise.3", "libclone2.7"])

    def test_lint(self):
        self.need_command("mandoc")
        for name, path in PAGES.items():
            # Whether other packages' pages are installed is not our matter.
            found = [line for line in harness.run(["mandoc", "-T", "lint", path]).out.splitlines()
                     if "referenced manual not found" not in line]
            self.assertEqual(found, [], name)

    def test_every_option_has_its_place(self):
        shown = self.expect(harness.supervise("--help")).out
        names = set(re.findall(r"^ {2,6}(?:-\w, )?--([a-z-]+)", shown, re.M))
        self.assertGreater(len(names), 10, shown)
        page = text_of("clone2-supervise.1")
        for name in names:
            self.assertRegex(page, rf"(?m)^\.It .*Fl -{name}\b", name)
        shown = self.expect(harness.run([harness.SHIM, "--help"])).out
        for name in re.findall(r"^  (?:-\w, )?--([a-z]+)", shown, re.M):
            self.assertRegex(text_of("clone2-shim.1"), rf"(?m)^\.It .*Fl -{name}\b", name)

    def test_the_thread_of_the_manual(self):
        self.need_root()
        self.need_command("cc")
        programs = [block.replace("\\e", "\\")
                    for block in re.findall(r"\.Bd -literal\n(.*?)\.Ed", text_of("clone2.2"), re.S)
                    if "int main" in block]
        self.assertEqual(len(programs), 1)
        with tempfile.TemporaryDirectory() as folder:
            source, program = os.path.join(folder, "thread.c"), os.path.join(folder, "thread")
            with open(source, "w", encoding="utf-8") as file:
                file.write(programs[0])
            self.expect(harness.run(["cc", "-Wall", "-Werror", "-I", os.path.join(ROOT, "shim"),
                                     source, ARCHIVE, "-o", program]))
            for _ in range(20):
                self.assertEqual(self.expect(harness.run([program])).out, "hello\n")

    def test_members_of_the_log(self):
        self.need_root()
        script = (f"{harness.CALL} 77; {harness.CALL} 1; "
                  f"LD_PRELOAD={harness.PRELOAD} CLONE2_SHIM=trap {harness.CALL} 77")
        harness.supervise("--pidns", "--log", self.path("log"), "--log-format", "json", "--", "sh",
                          "-c", script)
        members = {member for line in self.read("log").splitlines() for member in json.loads(line)}
        self.assertLessEqual({"result", "child_here", "why", "served_by"}, members)
        described = set()
        for names in re.findall(r"(?m)^\.It Li ([a-z_ ,]+)$", text_of("clone2-supervise.1")):
            described.update(names.split(" , "))
        self.assertEqual(members - described, set())


class Completions(harness.Case):
    def bash(self, *words, command="clone2-supervise", folder=GENERATED):
        """What bash offers for the last of these words."""
        function = "_" + command.replace("-", "_")
        script = (f"source {folder}/{command}.bash; COMP_WORDS=({command} \"$@\"); "
                  f"COMP_CWORD=$#; {function}; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        return self.expect(harness.run(["bash", "-c", script, "bash", *words])).out.split()

    def shim(self, *words):
        return self.bash(*words, command="clone2-shim", folder=SHIM_GENERATED)

    def test_bash(self):
        self.assertEqual(self.bash("--pidn"), ["--pidns"])
        self.assertIn("-n", self.bash("-"))
        self.assertEqual(self.bash("--stats", "--log-form"), ["--log-format"])
        self.assertEqual(self.bash("--log-format", "j"), ["json"])
        self.assertEqual(self.bash("--log-format", "=", "te"), ["text"])
        self.assertEqual(self.bash("--print-bpf", "="), ["base64"])
        self.assertEqual(self.bash("--listen", "/pro"), ["/proc"])
        self.assertIn("1", self.bash("--dump-slots", "1"))
        # PROGRAM begins at the first word that is neither an option nor the value of one.
        for before in ((), ("--",), ("-n", "387"), ("--pidns",), ("--pidns", "=", "2", "--stats")):
            self.assertIn("setsid", self.bash(*before, "setsi"), before)
        self.assertEqual(self.bash("prog", "--pidn"), [])

    def test_shim_in_bash(self):
        shown = self.expect(harness.run([harness.SHIM, "--help"])).out
        names = set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", shown, re.M))
        self.assertGreater(len(names), 5, shown)
        self.assertEqual(set(self.shim("--")), names)
        self.assertEqual(self.shim("--socket", "/pro"), ["/proc"])
        for before in ((), ("--",), ("-n", "387"), ("--nr", "387", "--optional"), ("--check",)):
            self.assertIn("setsid", self.shim(*before, "setsi"), before)

    def test_fish(self):
        self.need_command("fish")
        for command, folder, typed, offered in (
                ("clone2-supervise", GENERATED, "--pidn", "--pidns"),
                ("clone2-supervise", GENERATED, "--log-format ", "json"),
                ("clone2-supervise", GENERATED, "-q -- setsi", "setsid"),
                ("clone2-shim", SHIM_GENERATED, "--sock", "--socket")):
            result = harness.run(["fish", "-c", f"source {folder}/{command}.fish; "
                                                f"complete -C '{command} {typed}'"])
            self.assertIn(offered, self.expect(result).out.split(), result)

    def zsh(self, typed, wanted):
        """Whether zsh, at a terminal, makes `wanted` of what is typed."""
        with tempfile.TemporaryDirectory() as home:
            pid, terminal = pty.fork()
            if pid == 0:
                os.environ.update(HOME=home, TERM="dumb", PS1="ready>")
                os.execvp("zsh", ["zsh", "-f", "-i"])
            seen = ""
            try:
                os.write(terminal, (f"fpath=({GENERATED} {SHIM_GENERATED} $fpath); autoload -U compinit; "
                                    "compinit -D -u; echo lo'aded'\r").encode())
                end = time.monotonic() + harness.RUN_SECONDS
                while wanted not in seen and time.monotonic() < end:
                    if select.select([terminal], [], [], 0.1)[0]:
                        seen += os.read(terminal, 4096).decode(errors="replace")
                    if "loaded" in seen and typed:
                        os.write(terminal, typed.encode())
                        typed = ""
                return wanted in seen, seen
            finally:
                os.close(terminal)
                os.waitpid(pid, 0)

    def test_zsh(self):
        self.need_command("zsh")
        for typed, wanted in (("clone2-supervise --pidn\t", "--pidns"),
                              ("clone2-supervise --log-format j\t", "json"),
                              ("clone2-shim --sock\t", "--socket")):
            found, seen = self.zsh(typed, wanted)
            self.assertTrue(found, seen)


if __name__ == "__main__":
    harness.main()
