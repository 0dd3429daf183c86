# SPDX-License-Identifier: MIT
"""clone2-shim: options, PATH, exit statuses, what PROGRAM inherits and what not."""
import os
import socket
import stat
import subprocess
import threading

import agents
import harness
import test_numbers
from agents import Agent, SHIM


class Program(harness.Case):
    def test_exit_status(self):
        agent = Agent(self)
        for program, status in ((["sh", "-c", "exit 7"], 7), (["sh", "-c", "kill -TERM $$"], -15),
                                (["nosuchprogram"], 127), (["/nosuch/file"], 127), ([""], 127),
                                (["/"], 126), ([self.file("plain", "x", 0o644)], 126)):
            self.assertEqual(agent.shim(*program).status, status, program)

    def file(self, name, text, mode=0o755):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as file:
            file.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def test_path(self):
        agent = Agent(self)
        self.file("a/prog", "#!/bin/sh\necho a\n", 0o644)
        self.file("b/prog", "#!/bin/sh\necho b $0 $1 $#\n")
        self.file("c/prog", "#!/bin/sh\necho c\n")
        path = ":".join([self.path("nosuch"), self.path("a"), self.path("b"), self.path("c")])
        result = agent.shim("prog", "x", env={"PATH": path})
        self.expect(result, 0, out=f"b {self.path('b/prog')} x 1\n")
        # A file that may not be executed is not "not found".
        self.assertEqual(agent.shim("prog", env={"PATH": self.path("a")}).status, 126)
        self.assertEqual(agent.shim("prog", env={"PATH": self.path("nosuch")}).status, 127)
        # An empty entry is the current directory; without PATH there is a default.
        self.assertEqual(agent.shim("prog", env={"PATH": ":/x"}, cwd=self.path("c")).out, "c\n")
        self.assertEqual(agent.shim("true", env={}).status, 0)

    def test_script_without_a_first_line(self):
        agent = Agent(self)
        script = self.file("script", 'echo "$0" "$@"\n')
        self.assertEqual(agent.shim(script, "a", "b c").out, f"{script} a b c\n")

    def test_what_is_inherited(self):
        agent = Agent(self)
        result = agent.shim("sh", "-c", "ls -l /proc/self/fd; echo $A; umask",
                            env={**os.environ, "A": "value"})
        self.assertNotIn("socket:", result.out)
        self.assertNotIn("seccomp", result.out)
        self.assertIn("value\n", result.out)

    def test_closed_standard_descriptors(self):
        agent = Agent(self)
        command = f"exec {SHIM} --socket {agent.path} ls /proc/self/fd 0<&- 2<&-"
        self.assertEqual(harness.run(["sh", "-c", command]).out.split(), ["0", "1"])

    def test_no_new_privs_only_where_needed(self):
        agent = Agent(self, "--allow-uid", str(harness.NOBODY))
        probe = "grep NoNewPrivs /proc/self/status"
        self.assertEqual(agent.shim("sh", "-c", probe).out, "NoNewPrivs:\t0\n")
        shim = self.public_copy(SHIM)
        result = harness.run(["setpriv", f"--reuid={harness.NOBODY}", "--clear-groups", shim,
                              "--socket", agent.path, "sh", "-c", probe], cwd="/")
        self.assertEqual(result.out, "NoNewPrivs:\t1\n")

    def test_other_number(self):
        agent = Agent(self)
        for number in (["--nr=337"], ["--nr", "337"], ["-n", "337"], ["-n337"]):
            result = harness.run([SHIM, f"--socket={agent.path}", *number, "--", harness.CALL, "-n",
                                  "337", "7000"])
            self.expect(result, 0, out="pid 7000")

    def compile32(self, source):
        self.need_command("i686-linux-gnu-gcc")
        here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        program = self.path("program32")
        subprocess.run(["i686-linux-gnu-gcc", "-O1", "-static", "-no-pie", "-fno-pic", "-I",
                        f"{here}/../shim", "-I", f"{here}/../supervisor", "-o", program, "-xc", "-"],
                       input=source.encode(), check=True)
        return program

    def program32(self):
        """Makes each call given as NUMBER:PID, and prints its result."""
        here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        with open(f"{here}/integration/targets/clone2_call.c") as source:
            return self.compile32(source.read())

    def test_program_of_32_bits(self):
        agent = Agent(self)
        program = self.program32()
        self.expect(agent.shim(program, "7000"), 0, out="pid 7000")
        for nr in ("387,i386:500", "i386:500", "i386:500,x86_64:501=eclone"):
            result = harness.run([SHIM, "--socket", agent.path, "--nr", nr, program, "-n", "500",
                                  "7000"])
            self.expect(result, 0, out="pid 7000")
        result = harness.run([SHIM, "--socket", agent.path, "--nr=387", program, "7000"])
        self.assertEqual(harness.calls(result.out), ["ENOSYS"], result)

    def test_shared_numbers(self):
        agent = Agent(self)

        def shim(*arguments):
            return harness.run([SHIM, "--socket", agent.path, *arguments])
        run = shim("--nr=300=eclone", harness.PYTHON, "-c", test_numbers.ECLONE)
        self.expect(run, 0, out="ok\n")
        self.assertEqual(run.err, "")
        program = self.compile32(test_numbers.I386)
        run = shim("--nr", "387,i386:337", program, "337")
        self.expect(run, 0, out="ok\n")
        self.assertEqual(run.err, "")
        run = shim("--nr", "i386:337=clone_with_pids", program, "337", "set")
        self.expect(run, 0, out="ok\n", err="337=clone_with_pids also takes all calls of the "
                                            "system call that has this number")

    def test_shared_number_and_a_stricter_filter(self):
        agent = Agent(self)
        for refused, status in (("500=1", 0), ("300=1", 125)):
            run = harness.run([harness.REFUSE, refused, "--", SHIM, "--socket", agent.path,
                               "--nr=300=eclone", "--require", "true"])
            self.expect(run, status, err="300 with EPERM" if status else "")

    def test_several_numbers(self):
        agent = Agent(self)
        for nr in ("337", "387", "500"):
            result = harness.run([SHIM, "--socket", agent.path, "--nr=337,x86_64:500,387=clone2",
                                  harness.CALL, "-n", nr, "7000"])
            self.expect(result, 0, out="pid 7000")
            result = harness.run([SHIM, "--socket", agent.path, "--nr=337", "-n", "500,387",
                                  harness.CALL, "-n", nr, "7000"])
            self.expect(result, 0, out="pid 7000")

    def test_environment_names_the_socket(self):
        agent = Agent(self)
        result = harness.run([SHIM, harness.CALL, "7000"],
                             env={**os.environ, "CLONE2_SOCKET": agent.path})
        self.expect(result, 0, out="pid 7000")


class Refused(harness.Case):
    def shim(self, *words, **kw):
        return harness.run([SHIM, *words], **kw)

    def test_usage(self):
        for words in ([], ["--"], ["--nosuch", "true"], ["--socket"], ["--nr"], ["--nr", "x", "true"],
                      ["--nr=-1", "true"], ["--nr=46", "true"], ["--nr=1073741824", "true"],
                      ["--nr=387,", "true"], ["--nr=,387", "true"], ["--nr=387,387", "true"],
                      ["-n387", "-n387", "true"],
                      ["--nr=i386:338", "true"], ["--nr=i386:46", "true"], ["--nr=arm:387", "true"],
                      ["--nr=300", "true"],
                      ["--nr=i386:337=eclone", "true"], ["--nr=387=fork", "true"], ["--nr=387=", "true"], ["--nr=:387", "true"],
                      ["--nr=" + "3" * 200, "true"], ["--nr=387" + "x" * 200, "true"],
                      ["--nr=" + ",".join(map(str, range(600, 617))), "true"],
                      ["--optional=1", "true"], ["-x", "true"], ["-n"], ["-n=387", "true"],
                      ["-n387,387", "true"], ["--check", "agent", "true"],
                      ["--check=agent", "true"], ["--check", "nosuch"], ["--check="]):
            result = self.shim(*words)
            self.expect(result, 125, err="clone2-shim: ")
            self.assertEqual(result.err.count("\n"), 1, result)

    def test_what_was_wrong(self):
        for words, text in ((["--sockt", "x"],
                             "unknown option '--sockt'; did you mean --socket? (see --help)"),
                            (["--vers=x"],
                             "unknown option '--vers'; did you mean --version? (see --help)"),
                            (["--nosuchoption"], "unknown option '--nosuchoption' (see --help)"),
                            (["-x"], "unknown option '-x' (see --help)"),
                            (["-n"], "option '--nr' needs a value (see --help)"),
                            (["--optional=1"], "option '--optional' takes no value"),
                            (["--require", "--optional", "true"],
                             "--optional does not go with --require"),
                            (["-n", "387,i386:1"],
                             "--nr: 'i386:1' is the number of another system call"),
                            (["-n387,x,388"], "--nr: 'x' is not a system call number"),
                            (["-n387", "-n388,387"], "--nr: '387' is there twice"),
                            (["--nr=387=fork"], "--nr: '387=fork' names no form of the call: "
                                                "clone2, eclone, clone_with_pids"),
                            (["--nr=arm:387"], "--nr: 'arm:387' is for no architecture that is "
                                               "served")):
            with self.subTest(words):
                self.assertEqual(self.expect(self.shim(*words), 125).err,
                                 f"clone2-shim: {text}\n")

    def test_help_and_version(self):
        for words in (["--help"], ["-h"], ["-n", "337", "-h"]):
            self.expect(self.shim(*words), 0, out="Usage: clone2-shim")
        for words in (["--version"], ["-V"]):
            self.expect(self.shim(*words), 0, out="clone2-shim 1")
        with open("/dev/full", "w") as full:
            for word in ("-h", "-V", "--check"):
                self.assertEqual(self.shim(word, stdout=full).status, 125, word)

    def test_a_user_that_the_agent_does_not_know(self):
        shim = self.public_copy(SHIM)
        as_nobody = ["setpriv", f"--reuid={harness.NOBODY}", "--clear-groups", shim, "--socket"]
        # The socket itself is closed to other users, and open to all where one is allowed.
        for options, name, text in (([], "closed", "Permission denied (if an agent listens there, it "
                                                   "must allow this user: --allow-uid)"),
                                    (["--allow-uid", "1"], "open", f"uid {harness.NOBODY} may not "
                                     "use this agent (see --allow-uid)")):
            with self.subTest(name):
                agent = Agent(self, *options, name=name)
                self.expect(harness.run([*as_nobody, agent.path, "true"], cwd="/"), 125, err=text)

    def test_no_agent(self):
        start = "(start clone2-supervise --listen; --socket or $CLONE2_SOCKET set the path)"
        for path, text in ((self.path("nosuch"), f"No such file or directory {start}"),
                           (self.stale(), f"Connection refused {start}"),
                           ("/" + "x" * 200, "too long (--socket or"),
                           (self.stale() + "/x", "Not a directory (--socket or")):
            result = self.shim("--socket", path, "echo", "ran")
            self.expect(result, 125, err=f"clone2-shim: no agent at {path}: connect: ")
            self.assertIn(text, result.err)
            self.assertEqual(result.out, "")
            result = self.shim("--optional", "--socket", path, "echo", "ran")
            self.expect(result, 0, out="ran", err="without clone2")

    def test_no_way_to_ask_for_an_agent(self):
        # Nobody knows whether one is there, so there is nothing to advise.
        agent = Agent(self)
        for before, why in ((["prlimit", "--nofile=3"], "socket: Too many open files"),
                            (harness.refusing("41=1"), "socket: Operation not permitted"),
                            (harness.refusing("41=13"), "socket: Permission denied"),
                            (harness.refusing("42=1"), "connect: Operation not permitted")):
            with self.subTest(why):
                result = harness.run([*before, SHIM, "--socket", agent.path, "echo", "ran"])
                self.expect(result, 125)
                self.assertEqual(result.err,
                                 f"clone2-shim: can't connect to {agent.path}: {why}\n")

    def stale(self):
        if os.path.exists(self.path("stale")):
            return self.path("stale")
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(self.path("stale"))
        return self.path("stale")

    def test_second_listener(self):
        agent = Agent(self)
        result = agent.shim(SHIM, "--socket", agent.path, "true")
        self.expect(result, 125, err="a seccomp listener already exists")
        self.assertIn("libclone2 works there", result.err)
        result = agent.shim(SHIM, "--optional", "--socket", agent.path, harness.CALL, "7000")
        self.expect(result, 0, out="pid 7000")

    def strange_agent(self, answer):
        """Reads the message and gives this answer."""
        server = socket.socket(socket.AF_UNIX)
        server.bind(self.path("strange"))
        server.listen()
        self.addCleanup(server.close)

        def serve():
            peer, _ = server.accept()
            self.message, fds, _, _ = socket.recv_fds(peer, 4096, 4)
            peer.sendall(answer)
            peer.close()
            for fd in fds:
                os.close(fd)
        thread = threading.Thread(target=serve)
        thread.start()
        self.addCleanup(thread.join)
        return self.path("strange")

    def test_answers(self):
        for answer, text in ((b"", "without an answer"), (b"no\n", "refused: no"), (b"okay\n", "okay"),
                             (b"\n", "refused: "),
                             (b"\x1b[2J\xc2\x9b\n", r"refused: \x1b[2J\xc2\x9b" + "\n")):
            result = self.shim("--socket", self.strange_agent(answer), "true")
            self.expect(result, 125, err=text)
            os.unlink(self.path("strange"))
        self.assertIn(b'"fds":["seccompFd"]', self.message)

    def test_words_for_a_terminal(self):
        for words in (("--\n\x1bx",), ("--socket", "/no\n\x1b\x7f", "true")):
            result = self.shim(*words)
            self.expect(result, 125, err=r"\x0a\x1b")
            self.assertRegex(result.err, r"\Aclone2-shim: [ -~]*\n\Z")

    def test_lost_agent_means_enosys(self):
        result = self.shim("--optional", "--socket", self.strange_agent(b"no\n"), harness.CALL)
        self.assertEqual(harness.calls(result.out), ["ENOSYS"])


class Check(harness.Case):
    """What a place allows, in the words of clone2-supervise --check."""

    def check(self, *words, before=(), **kw):
        return harness.run([*before, SHIM, "--check", *words], **kw)

    @staticmethod
    def found(line):
        """The words of a line without the consequence."""
        return line.split(": ")[0].split()

    def test_all_is_there(self):
        agent = Agent(self, "--stats")
        result = self.expect(self.check("--socket", agent.path), 0)
        features = {line.split()[0]: line.split()[1] for line in result.out.splitlines()}
        self.assertEqual(features, {"notification": "yes", "number": "yes", "set_tid": "yes",
                                    "nesting": "yes", "privilege": "yes", "wait_killable": "yes",
                                    "no_new_privs": "yes", "native": "no", "agent": "yes"})
        self.assertIn(f"an agent accepts connections at {agent.path}", result.out)
        self.assertEqual(agent.end(), 0)
        self.assertNotIn("closed", agent.err(), "a look is no mistake")
        self.assertIn("clone2 calls: 0\n", agent.err())

    def test_the_same_words(self):
        # Whoever reads both finds the same features found; consequences differ.
        agent = Agent(self)
        for before in ([], harness.refusing("387=1"), harness.refusing("387=38"), harness.refusing("435=38"),
                       ["setpriv", "--bounding-set=-all,+checkpoint_restore"],
                       ["setpriv", "--bounding-set=-all"],
                       ["setpriv", "--no-new-privs"],
                       ["unshare", "--pid", "--fork", "--mount-proc"]):
            with self.subTest(before=before):
                ours = self.check("--socket", agent.path, before=before)
                theirs = harness.run([*before, harness.SUPERVISE, "--check", "--listen", agent.path])
                known = {line.split()[0]: self.found(line) for line in theirs.out.splitlines()}
                for line in ours.out.splitlines():
                    self.assertEqual(self.found(line), known[line.split()[0]], ours)
                self.assertEqual("--no-new-privs" in before, "is set already" in ours.out, ours)

    def test_the_same_words_about_no_agent(self):
        Agent(self)
        too_long = "/" + "x" * 200
        os.mkdir(self.path("closed"), 0o700)
        shim, supervise = self.public_copy(SHIM), self.public_copy(harness.SUPERVISE)
        nobody = ["setpriv", f"--reuid={harness.NOBODY}", "--clear-groups"]
        for path, before, found in ((self.path("nosuch"), [], "none at PATH (ENOENT)"),
                                    (self.path("agent.err") + "/x", [], "none at PATH (ENOTDIR)"),
                                    (too_long, [], "none at PATH (ENAMETOOLONG)"),
                                    (self.path("closed/x"), nobody, "none at PATH (EACCES)"),
                                    (self.path("agent.sock"), harness.refusing("42=1"),
                                     "can't connect to PATH (connect: EPERM)"),
                                    (self.path("agent.sock"), harness.refusing("41=13"),
                                     "can't connect to PATH (socket: EACCES)")):
            with self.subTest(found):
                ours = harness.run([*before, shim, "--check=agent", "--socket", path], cwd="/")
                self.expect(ours, 1, out=found.replace("PATH", path) + ": ")
                theirs = harness.run([*before, supervise, "--check=agent", "--listen", path],
                                     cwd="/")
                self.assertEqual(ours.out.split(), self.expect(theirs, 1).out.split())

    def test_one_feature(self):
        for words in (["nesting"], ["-n", "500", "nesting"]):
            self.assertRegex(self.expect(self.check(*words), 0).out, r"\Anesting +yes .*\n\Z")
        self.expect(harness.run([SHIM, "--check=native"]), 1, out="does not exist")
        self.expect(self.check("nosuch"), 125, err="features: notification number set_tid")

    def test_number(self):
        agent = Agent(self)
        for how, text in (("1", "EPERM"), ("38", "ENOSYS"), ("kill", "SIGSYS")):
            with self.subTest(how=how):
                result = self.check("--socket", agent.path, before=harness.refusing(f"387={how}"))
                self.expect(result, 1, out=f"387 is refused by another filter, with {text}: ")
                self.expect(self.check("-n500", "number", before=harness.refusing(f"387={how}")), 0,
                            out="500 reaches our filter")

    def test_each_number(self):
        result = self.check("-n", "400,401,402", "number", before=harness.refusing("401=1"))
        self.expect(result, 1)
        self.assertEqual([line.split(":")[0].split(maxsplit=2)[1:]
                          for line in result.out.splitlines()],
                         [["yes", "system call 400 reaches our filter"],
                          ["no", "system call 401 is refused by another filter, with EPERM"],
                          ["yes", "system call 402 reaches our filter"]])

    def test_a_number_that_cannot_be_tried(self):
        # The call is made in a child, so without clone() there is none.
        self.expect(self.check("number", before=harness.refusing("56=11")), 1,
                    out="system call 387 can't be tried: no child process")

    def test_clone3(self):
        for how, text in (("1", "gives EPERM"), ("38", "gives ENOSYS"), ("kill", "SIGSYS")):
            with self.subTest(how=how):
                before = harness.refusing(f"435={how}")
                self.expect(self.check("set_tid", before=before), 1, out=text)
                self.expect(self.check("nesting", before=before), 1, out="unknown")

    def test_a_listener_is_there(self):
        agent = Agent(self)
        outer = [SHIM, "--socket", agent.path]
        result = self.check("--socket", agent.path, before=outer)
        self.expect(result, 1, out="a seccomp listener already exists")
        self.assertRegex(result.out, r"(?m)^native +yes")
        self.assertRegex(result.out, r"(?m)^number +no +unknown: see notification$")
        self.expect(self.check("notification", before=harness.refusing("317=1")), 1,
                    out="a filter of this sandbox forbids it")

    def test_agent(self):
        self.expect(self.check("--socket", self.path("nosuch"), "agent"), 1,
                    out=f"none at {self.path('nosuch')} (ENOENT): clone2-shim needs an agent")
        self.expect(self.check("agent", before=["prlimit", "--nofile=3"]), 1,
                    out="(socket: EMFILE): it could not be found out")
        agent = Agent(self)
        self.expect(self.check("agent", env={**os.environ, "CLONE2_SOCKET": agent.path}), 0)
        shim = self.public_copy(SHIM)
        as_nobody = ["setpriv", f"--reuid={harness.NOBODY}", "--clear-groups", shim, "--check=agent",
                     "--socket"]
        self.expect(harness.run([*as_nobody, agent.path], cwd="/"), 1, out="(EACCES): if an agent")
        other = Agent(self, "--allow-uid", "1", name="other")
        self.expect(harness.run([*as_nobody, other.path], cwd="/"), 1,
                    out=f"the agent refused: uid {harness.NOBODY} may not use this agent")


class File(harness.Case):
    def test_small_static_and_alone(self):
        self.need_command("strip")
        subprocess.run(["strip", "-o", self.path("stripped"), SHIM], check=True)
        self.assertLess(os.stat(self.path("stripped")).st_size, 32 * 1024)
        with open(SHIM, "rb") as file:
            image = file.read()
        self.assertNotIn(b"ld-linux", image)
        # It runs in an otherwise empty file system.
        os.mkdir(self.path("root"))
        copy = self.path("root/clone2-shim")
        with open(copy, "wb") as file:
            file.write(image)
        os.chmod(copy, stat.S_IRWXU)
        self.expect(harness.run(["chroot", self.path("root"), "/clone2-shim", "/x"]), 125,
                    err="no agent at /run/clone2-supervise/agent.sock")


if __name__ == "__main__":
    harness.main()
