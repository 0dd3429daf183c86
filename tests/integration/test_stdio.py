# SPDX-License-Identifier: MIT
"""stdin, stdout, stderr and other descriptors: same as without the wrapper, even with leftovers."""
import os
import signal
import subprocess

import harness

SHELL_TAKES = 'out=$("$1" -- sh -c "sleep 1000 >/dev/null 2>&1 & echo hi"); echo "[$out]"'


class Streams(harness.Case):
    def test_stdin_is_piped_through(self):
        text = "".join(f"line {i}\n" for i in range(50000))
        result = self.expect(harness.supervise("--", "cat", input=text))
        self.assertEqual(result.out, text)

    def test_stdin_that_program_leaves_alone(self):
        # The rest of the input belongs to the next command, as with any program.
        script = 'printf "a\\nb\\n" > f; { "$1" -- true; cat; } < f'
        result = harness.run(["sh", "-c", script, "sh", harness.SUPERVISE], cwd=self.tmp)
        self.assertEqual(result.out, "a\nb\n", result)

    def test_pipeline(self):
        script = 'seq 1000 | "$1" -- sort -rn | "$1" -- head -n 2'
        result = harness.run(["sh", "-c", script, "sh", harness.SUPERVISE])
        self.assertEqual(result.out, "1000\n999\n", result)

    def test_reader_that_goes_away(self):
        # PROGRAM gets SIGPIPE: no descriptor of the wrapper keeps the pipe alive.
        script = '{ "$1" -- yes; echo "$?" >&2; } | head -n 1'
        result = harness.run(["sh", "-c", script, "sh", harness.SUPERVISE])
        self.assertEqual((result.out, result.err), ("y\n", "141\n"))

    def test_stdout_and_stderr_stay_apart(self):
        result = harness.supervise("--", "sh", "-c", "echo out; echo err >&2")
        self.assertEqual((result.out, result.err), ("out\n", "err\n"))

    def test_end_of_output_is_seen(self):
        # The reader sees stdout close while PROGRAM is still running.
        child = subprocess.Popen([harness.SUPERVISE, "--", "sh", "-c",
                                  "echo x; exec >&-; sleep 1000"],
                                 stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.assertEqual(child.stdout.read(), b"x\n")
        self.assertIsNone(child.poll())


class Leftovers(harness.Case):
    def test_command_substitution_returns(self):
        result = harness.run(["sh", "-c", SHELL_TAKES, "sh", harness.SUPERVISE])
        self.assertEqual(result.out, "[hi]\n", result)
        self.wait(lambda: harness.procs.named("sleep"), "the background process")

    def test_also_with_verbose_log_to_stderr(self):
        # The user lets the log hold stderr open; stdout must end anyway.
        err = open(self.path("err"), "w")
        result = harness.run([harness.SUPERVISE, "-v", "--log", "-", "--", "sh", "-c",
                              "sleep 1000 >/dev/null 2>&1 & echo hi"], stderr=err)
        err.close()
        self.assertEqual(result.out, "hi\n")

    def test_stderr_ends_too(self):
        result = harness.supervise("--", "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo hi >&2")
        self.assertEqual(result.err, "hi\n")

    def test_stdin_ends_too(self):
        # A writer sees EPIPE once PROGRAM is gone: the serving process does not hold the pipe.
        read, write = os.pipe()
        harness.supervise("--", "sh", "-c", "sleep 1000 </dev/null >/dev/null 2>&1 &", stdin=read)
        os.close(read)
        self.assertRaises(BrokenPipeError, os.write, write, b"x")
        os.close(write)

    def test_other_inherited_descriptor_ends_too(self):
        read, write = os.pipe()
        program = f"exec {write}>&- >/dev/null 2>&1; sleep 1000 &"
        harness.supervise("--", "sh", "-c", program, pass_fds=[write])
        os.close(write)
        with os.fdopen(read) as reader:
            self.assertEqual(reader.read(), "")


class Descriptors(harness.Case):
    def listed(self, wrap, redirect):
        """What PROGRAM finds open under a shell's redirection, with or without the wrapper."""
        file = self.path("wrapped" if wrap else "bare")
        wrapper = f"{harness.SUPERVISE} --" if wrap else ""
        script = f'{wrapper} python3 -S -c "$0" {file} {redirect}'
        program = ("import os,sys; a=[]\n"
                   "for f in range(1024):\n"
                   "  try: s=os.fstat(f); a.append((f,s.st_dev,s.st_ino,s.st_mode))\n"
                   "  except OSError: pass\n"
                   "open(sys.argv[1],'w').write(repr(a))")
        script = script.replace("python3", harness.PYTHON)
        with open(os.devnull) as null:
            status = subprocess.run(["bash", "-c", script, program], stdin=null,
                                    stdout=self.stdout, stderr=self.stdout, timeout=60).returncode
        self.assertEqual(status, 0, redirect)
        return self.read(os.path.basename(file))

    def setUp(self):
        super().setUp()
        self.stdout = open(self.path("stdout"), "w+")
        self.addCleanup(self.stdout.close)

    def test_same_as_without(self):
        for redirect in ("", "<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-", "7</etc/passwd",
                         "100</dev/null 3>/dev/null", "<&- 5</etc/passwd", ">&- 0</etc/passwd"):
            with self.subTest(redirect=redirect):
                bare = self.listed(False, redirect)
                self.assertTrue(bare)
                self.assertEqual(self.listed(True, redirect), bare)

    def test_clone2_works_with_all_closed(self):
        progress = self.path("progress")
        for redirect in ("<&- >&- 2>&-", "<&-", ">&-", "2>&-"):
            with self.subTest(redirect=redirect):
                script = f'"$0" -- "$1" -q -r 5 -o {progress} {redirect}'
                result = harness.run(["bash", "-c", script, harness.SUPERVISE, harness.CALL])
                self.assertEqual(result.status, 0, result)

    def test_log_file_when_stderr_is_closed(self):
        # The log's descriptor must not become PROGRAM's 0, 1 or 2, and its output must not end up
        # in the log.
        log = self.path("log")
        script = f'"$0" --log {log} -- sh -c "echo text; echo text >&2; {harness.CALL}" ' \
                 "<&- >&- 2>&-"
        harness.run(["bash", "-c", script, harness.SUPERVISE])
        self.assertNotIn("text", self.read("log"))
        self.assertEqual(self.read("log").count("\n"), 1)

    def test_low_descriptor_limit(self):
        result = harness.run(["prlimit", "--nofile=64:64", harness.SUPERVISE, "--", harness.CALL,
                              "-r", "3"])
        self.assertEqual(len(harness.calls(result.out)), 3, result)

    def test_no_file_may_be_written(self):
        # Our writes to a file fail, as any program's would, and end nothing.
        limited = ["prlimit", "--fsize=0:0", harness.SUPERVISE]
        self.expect(harness.run([*limited, "--", harness.CALL, "7000"]), 0, out="pid 7000")
        self.assertEqual(harness.run([*limited, "--check"]).status,
                         harness.supervise("--check").status)
        self.expect(harness.run([*limited, "--print-bpf=base64"]), 0)
        with open(self.path("file"), "w") as file:
            for arguments, status in ((["--no-such-option"], 125), (["--check"], 125),
                                      (["--help"], 125), (["--print-bpf"], 125),
                                      (["--", "/no/such"], 127),
                                      (["--log", self.path("log"), "-v", "--stats", "--",
                                        harness.CALL, "-q"], 0)):
                with self.subTest(arguments=arguments):
                    result = harness.run([*limited, *arguments], stdout=file, stderr=file)
                    self.assertEqual(result.status, status)

    def test_file_limit_is_the_programs(self):
        # PROGRAM dies of SIGXFSZ if the caller has left its action alone, and ignores it otherwise.
        script = f"echo text >{self.path('file')}"
        limited = ["prlimit", "--fsize=0:0", harness.SUPERVISE, "--", "sh", "-c", script]
        self.assertEqual(harness.run(limited).status, -signal.SIGXFSZ)
        def ignore():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        self.assertGreater(harness.run(limited, preexec_fn=ignore).status, 0)

    def test_serving_process_holds_nothing_of_the_caller(self):
        # Except stderr, on which it may have to report something while the command runs.
        child = self.start(harness.SUPERVISE, "--", "sleep", "1000", stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE)
        self.wait(lambda: harness.procs.named("sleep"), "PROGRAM")
        pipes = [os.readlink(f"/proc/self/fd/{stream.fileno()}")
                 for stream in (child.stdin, child.stdout)]
        for server in harness.procs.named(harness.procs.SERVE):
            self.assertEqual(os.readlink(f"/proc/{server.pid}/cwd"), "/", "keeps a mount busy")
            for fd in os.listdir(f"/proc/{server.pid}/fd"):
                self.assertNotIn(os.readlink(f"/proc/{server.pid}/fd/{fd}"), pipes)


if __name__ == "__main__":
    harness.main()
