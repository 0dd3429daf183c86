# SPDX-License-Identifier: MIT
"""Debuggers: a target that is already traced gets a clear answer; a traced wrapper works."""
import errno
import os
import signal
import subprocess

import harness
import procs


class TracedTarget(harness.Case):
    """A tracer inside: the supervisor can't seize a thread that another process traces."""

    def setUp(self):
        super().setUp()
        self.need_command("strace")

    def test_strace(self):
        log = self.path("log")
        result = harness.supervise("--log", log, "--", "strace", "-f", "-o", self.path("trace"),
                                   harness.CALL, "-r", "3", "7000")
        self.assertEqual(harness.calls(result.out), ["EPERM"] * 3, result)
        lines = self.read("log").splitlines()
        self.assertEqual(len(lines), 3)
        for line in lines:
            self.assertIn("EPERM", line)
            self.assertIn("trace", line.lower(), "the line doesn't say that a tracer is the reason")

    def test_errors_need_no_tracing(self):
        result = harness.supervise("--", "strace", "-f", "-o", self.path("trace"), harness.CALL,
                                   "-a")
        self.assertEqual(harness.calls(result.out), ["EFAULT"], result)

    def test_others_continue(self):
        script = f"""strace -f -o {self.path('trace')} "$0" -q -r 50 7000 & "$0" -r 50 7100; wait"""
        result = harness.supervise("--", "sh", "-c", script, harness.CALL)
        self.assertEqual(harness.calls(result.out), [7100] * 50, result)

    def test_tracer_comes_and_goes(self):
        child = subprocess.Popen([harness.SUPERVISE, "--", harness.CALL, "-r", "0", "-i", "1", "-q",
                                  "-o", self.path("n")], stdin=subprocess.DEVNULL)
        caller = self.program()
        for _ in range(5):
            before = self.counters()[1]
            # A thread has one tracer: strace gives up if the supervisor is first.
            while True:
                tracer = self.start("strace", "-p", str(caller.pid), "-o", self.path("trace"))
                self.wait(lambda: self.counters()[1] > before + 5 or tracer.poll() is not None,
                          "refused calls")
                if tracer.poll() is None:
                    break
                self.finish(tracer)
            tracer.terminate()
            self.finish(tracer)
            calls, failures = self.counters()[:2]
            self.wait(lambda: self.counters()[0] > calls + 20, "calls after the tracer")
            self.assertLess(self.counters()[1], failures + 10, "still refused")
        os.kill(caller.pid, signal.SIGTERM)
        self.assertEqual(self.finish(child), -signal.SIGTERM)

    def program(self):
        """PROGRAM, not its children. It may run before the reaper, its parent, has its name."""
        def found():
            reapers = [p.pid for p in procs.named(procs.REAP)]
            return [p for p in procs.named("clone2-call") if p.ppid in reapers]
        return self.wait(found, "the target")[0]

    def counters(self):
        return harness.counters(self.path("n")) or (0, 0, 0)

    def test_ptrace_reports_no_such_process(self):
        # A filter, or PRoot, may report this for a living target.
        self.need_file("clone2-refuse", harness.REFUSE)
        seize = f"101:0@0x4206={errno.ESRCH}"
        for rules in ([seize], [seize, f"317:1&0x20={errno.EINVAL}"]):   # and without WAIT_KILLABLE_RECV
            with self.subTest(rules):
                log = self.path(f"log{len(rules)}")
                result = harness.run([harness.REFUSE, *rules, "--", harness.SUPERVISE, "--log", log,
                                      "--", harness.CALL, "-r", "3", "7000"])
                self.assertEqual(harness.calls(result.out), ["EPERM"] * 3, result)
                self.assertEqual(self.read(f"log{len(rules)}").count("but the caller still exists"), 3)

    def test_gdb(self):
        self.need_command("gdb")
        result = harness.supervise("--", "gdb", "--batch", "-ex", "run", "--args", harness.CALL,
                                   "7000")
        self.assertEqual(harness.calls(result.out), ["EPERM"], result)
        self.assertEqual(result.status, 0, result)

    def test_gdb_breakpoint_in_a_program_that_was_served(self):
        # Attached after its trampoline was installed: gdb sees a normal process.
        self.need_command("gdb")
        child = subprocess.Popen([harness.SUPERVISE, "--", harness.CALL, "-H", "-r", "2"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        child.stdout.readline()
        child.stdout.readline()
        caller = self.program()
        result = harness.run(["gdb", "--batch", "-p", str(caller.pid), "-ex", "bt"])
        self.assertIn("main", result.out, result)
        child.communicate(timeout=60)
        self.assertEqual(child.returncode, 0)


class TracedWrapper(harness.Case):
    def test_strace_of_the_wrapper(self):
        # -f makes strace the tracer of every target, so clone2 is refused; everything else works.
        self.need_command("strace")
        result = harness.run(["strace", "-f", "-o", self.path("trace"), harness.SUPERVISE, "--",
                              "sh", "-c", '"$0" 7000; exit 4', harness.CALL])
        self.assertEqual(harness.calls(result.out), ["EPERM"], result)
        self.assertEqual(result.status, 4)

    def test_strace_without_children(self):
        self.need_command("strace")
        result = harness.run(["strace", "-o", self.path("trace"), harness.SUPERVISE, "--",
                              harness.CALL, "7000"])
        self.assertEqual(harness.calls(result.out), [7000], result)

    def test_gdb_of_the_wrapper(self):
        self.need_command("gdb")
        result = harness.run(["gdb", "--batch", "-ex", "run", "--args", harness.SUPERVISE, "--",
                              harness.CALL, "7000"])
        self.assertEqual(harness.calls(result.out), [7000], result)


if __name__ == "__main__":
    harness.main()
