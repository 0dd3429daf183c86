# SPDX-License-Identifier: MIT
"""--policy without --listen: the rules that an agent knows, for PROGRAM and its descendants."""
import errno
import json
import os
import signal

import harness
import procs
from session import Calls, Session


class Policy(harness.Case):
    def policy(self, *rules):
        with open(self.path("policy"), "w") as f:
            json.dump({"rules": rules}, f)
        return "--policy", self.path("policy")

    def test_pids(self):
        options = self.policy({"pids": [[7000, 7001]]})
        for pid, want in (("7000", 7000), ("7002", "EPERM")):
            result = harness.supervise(*options, "--", harness.CALL, pid)
            self.assertEqual(harness.calls(result.out), [want], result)
        self.assertIn("refused with EPERM: pid 7002 not allowed: outside 7000..7001 (rule 1 of the "
                      "policy)", result.err)

    def test_the_caller(self):
        options = self.policy({"match": {"uid": os.geteuid(), "container": "web"}, "deny": "no"},
                              {"match": {"uid": os.geteuid()}})
        result = harness.supervise(*options, "--", harness.CALL)
        self.assertIsInstance(harness.calls(result.out)[0], int, result)

    def test_max_children(self):
        session = Session(self, *self.policy({"max_children": 1}))
        # Its child stays until the input ends.
        session.do(f"sleep 60 | {harness.CALL} -H -o {self.path('held')} >/dev/null 2>&1 &")
        first = Calls(0, self.path("held"))
        self.wait(lambda: first.counters()[0] == 1, "a child that lives")
        self.assertEqual(session.call(), ["EPERM"])

    def test_a_broken_file(self):
        for text in ("{", '{"rules": [{"pid": 1}]}'):
            with open(self.path("policy"), "w") as f:
                f.write(text)
            result = harness.supervise("--policy", self.path("policy"), "--", "echo", "ran")
            self.expect(result, 125, err="--policy")
            self.assertEqual(result.out, "")
        for path, why in ((self.path("none"), "No such file or directory"),
                          ("/proc", "Is a directory"), ("/dev/zero", "File too large")):
            for command in (("--", "echo", "ran"), ("--listen", self.path("socket"))):
                self.expect(harness.supervise("--policy", path, *command), 125,
                            err=f"--policy {path}: {why}\n")

    def reader_of(self, fifo):
        """Waits until it is being read; then the reader waits for what the test writes."""
        def writer():
            try:
                return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                self.assertEqual(error.errno, errno.ENXIO)  # nothing has opened it
                return None
        return os.fdopen(self.wait(writer, "a reader"), "w")

    def test_a_signal_ends_the_wait_for_the_file(self):
        os.mkfifo(self.path("policy"))
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number=number):
                child = self.start(harness.SUPERVISE, "--policy", self.path("policy"), "--",
                                   "touch", self.path("ran"))
                with self.reader_of(self.path("policy")):
                    child.send_signal(number)
                    self.assertEqual(self.finish(child), -number)
                self.assertFalse(os.path.exists(self.path("ran")))

    def test_sighup_reads_it_again(self):
        session = Session(self, *self.policy({"deny": "not yet"}))
        self.assertEqual(session.call(), ["EPERM"])
        self.policy({})
        serving, = procs.named(procs.SERVE)
        os.kill(serving.pid, signal.SIGHUP)
        self.wait(lambda: session.call() != ["EPERM"], "the new policy")


if __name__ == "__main__":
    harness.main()
