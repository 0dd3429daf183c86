# SPDX-License-Identifier: MIT
"""The installed library: its headers, its symbols, and the examples, compiled as a user would with
the flags from pkg-config.

Environment, besides that of harness.py: CLONE2_BUILD, the build directory to install from;
CLONE2_SOURCE, the source directory.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
import harness  # noqa: E402

SOURCE = os.environ.get("CLONE2_SOURCE") or os.path.join(HERE, "..", "..")
BUILD = os.environ.get("CLONE2_BUILD") or os.path.join(SOURCE, "build")
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror"]
NEWUSER = 0x10000000
SIGCHLD = 17


class Installed(harness.Case):
    """`self.flags` are pkg-config's flags for a new installation; `self.env` finds its library."""

    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="clone2-installed.")
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet",
                        "--destdir", cls.root], check=True, stdout=subprocess.DEVNULL)
        found = [os.path.join(at, "clone2supervise.pc") for at, _, files in os.walk(cls.root)
                 if "clone2supervise.pc" in files]
        assert len(found) == 1, found
        cls.libdir = os.path.dirname(os.path.dirname(found[0]))
        cls.pkg_config_env = dict(os.environ, PKG_CONFIG_SYSROOT_DIR=cls.root,
                                  PKG_CONFIG_LIBDIR=os.path.dirname(found[0]))
        cls.env = dict(os.environ, LD_LIBRARY_PATH=cls.libdir)

    def pkg_config(self, *arguments):
        result = harness.run(["pkg-config", *arguments, "clone2supervise"],
                             env=self.pkg_config_env)
        return self.expect(result).out.split()

    def compile(self, example, *arguments, compiler="cc", standard="c11", link=()):
        program = self.path(os.path.splitext(os.path.basename(example))[0])
        link = link or self.pkg_config("--libs")
        self.expect(harness.run(
            [compiler, f"-std={standard}", *WARNINGS, os.path.join(SOURCE, "examples", example),
             *self.pkg_config("--cflags"), *arguments, *link, "-o", program], timeout=150))
        return program

    def run_with(self, *argv):
        return harness.run(argv, env=self.env)


class Interface(Installed):
    def check_header(self, header, compiler, standard):
        source = self.path("include.cpp" if "++" in standard else "include.c")
        with open(source, "w") as f:
            f.write(f"#include <clone2/{header}>\n#include <clone2/{header}>\n"
                    "int main(void) { return 0; }\n")
        self.expect(harness.run([compiler, f"-std={standard}", *WARNINGS, "-fsyntax-only",
                                 *self.pkg_config("--cflags"), source], timeout=150))

    def test_c_headers(self):
        for header in "supervise.h", "target.h":
            for c, cxx in ("gcc", "g++"), ("clang", "clang++"):
                self.need_command(c)
                for standard in "c99", "c11":
                    self.check_header(header, c, standard)
                for standard in "c++11", "c++20":
                    self.check_header(header, cxx, standard)

    def test_cpp_headers(self):
        for header in "supervise.hpp", "supervise_asio.hpp":
            for standard in "c++17", "c++20":
                self.check_header(header, "g++", standard)

    def test_exports_what_the_headers_declare_and_nothing_else(self):
        declared = set()
        for header in "supervise.h", "target.h":
            with open(os.path.join(SOURCE, "supervisor", "include", "clone2", header)) as f:
                text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
            declared |= set(re.findall(r"^[a-z].*?\b(clone2_\w+)\(", text, flags=re.M))
        self.assertGreaterEqual(len(declared), 12, declared)
        library = os.path.join(self.libdir, "libclone2supervise.so")
        lines = self.expect(harness.run(["nm", "-D", "--defined-only", library])).out.splitlines()
        exported = {line.split()[2] for line in lines if line.split()[1] != "A"}
        self.assertEqual({name + "@@CLONE2SUPERVISE_1" for name in declared}, exported)
        dynamic = self.expect(harness.run(["readelf", "-d", library])).out
        self.assertIn("soname: [libclone2supervise.so.1]", dynamic)
        self.assertNotIn("libseccomp", dynamic)
        self.assertNotIn("liburing", dynamic)


class Build(harness.Case):
    def test_with_as_little_as_possible(self):
        self.need_command("meson")
        folder = self.path("little")
        options = [f"-D{name}=disabled" for name in ("tests", "examples", "io_uring")]
        self.expect(harness.run(["meson", "setup", folder, SOURCE, *options], timeout=300))
        targets = self.expect(harness.run(["ninja", "-C", folder, "-t", "targets", "all"])).out
        self.assertIn("supervisor/clone2-supervise:", targets)
        for left_out in "unit", "clone2_hello", "loop_io_uring":
            self.assertNotIn(left_out, targets)
        [replaced] = re.findall(r"^(\S*no_io_uring.cpp.o):", targets, re.M)
        self.expect(harness.run(["ninja", "-C", folder, replaced], timeout=300))


class EmbedC(Installed):
    def test_serves(self):
        embed = self.compile("embed_c/embed.c")
        result = self.expect(self.run_with(embed, harness.CALL, "-r", "20"))
        self.assertEqual(len(harness.calls(result.out)), 20, result)
        self.assertEqual(result.err.count("clone2(flags 0x11, {}) = "), 20, result)
        result = self.expect(self.run_with(embed, harness.CALL, "-f", "0x10000000011"), 1)
        self.assertEqual(harness.calls(result.out), ["EINVAL"], result)
        self.assertIn("clone2(flags 0x10000000011, {}) = -22 (", result.err)

    def test_chosen_pid(self):
        self.need_root()
        embed = self.compile("embed_c/embed.c")
        result = self.expect(self.run_with(embed, harness.CALL, "4321"))
        self.assertEqual(harness.calls(result.out), [4321], result)
        self.assertIn("clone2(flags 0x11, {4321}) = 4321 <", result.err)

    def test_ends_as_its_program(self):
        embed = self.compile("embed_c/embed.c")
        self.expect(self.run_with(embed, "sh", "-c", "exit 7"), 7)
        self.expect(self.run_with(embed, "sh", "-c", "kill -KILL $$"), 128 + signal.SIGKILL)
        self.expect(self.run_with(embed, "/nowhere/at/all"), 127, err="/nowhere/at/all")
        self.expect(self.run_with(embed), 2, err="usage")

    def test_inside_another_it_says_why_not(self):
        embed = self.compile("embed_c/embed.c")
        self.expect(self.run_with(embed, embed, "true"), 125, err="Device or resource busy")

    def test_statically_linked(self):
        link = self.pkg_config("--static", "--libs")
        # What its API doesn't use.
        self.assertFalse({"-lseccomp", "-luring"} & set(link), link)
        embed = self.compile("embed_c/embed.c", "-static", link=link)
        result = self.expect(harness.run([embed, harness.CALL, "-r", "20"]))
        self.assertEqual(len(harness.calls(result.out)), 20, result)


class EmbedCpp(Installed):
    def compile_it(self):
        return self.compile("embed_cpp/embed.cpp", compiler="c++", standard="c++17")

    def test_serves_and_refuses(self):
        embed = self.compile_it()
        result = self.expect(self.run_with(embed, harness.CALL, "-r", "20"))
        self.assertEqual(len(harness.calls(result.out)), 20, result)
        self.assertIn("embed_cpp: 20 calls\n", result.err)
        result = self.run_with(embed, harness.CALL, "-f", str(SIGCHLD | NEWUSER))
        self.assertEqual(harness.calls(result.out), ["EPERM"], result)
        self.assertIn("(no new user namespaces here)", result.err)

    def test_timer_and_signals_beside_it(self):
        embed = self.compile_it()
        child = self.start(embed, harness.CALL, "-q", "-r", "0", "-i", "1", env=self.env,
                           stderr=open(self.path("err"), "w"))
        self.wait(lambda: "calls so far" in self.read("err"), "the timer")
        child.send_signal(signal.SIGTERM)
        self.assertEqual(self.finish(child), 128 + signal.SIGTERM)
        self.assertRegex(self.read("err"), r"embed_cpp: [1-9]\d* calls\n$")


if __name__ == "__main__":
    harness.main()
