# SPDX-License-Identifier: MIT
"""--policy without --listen: the rules that an agent knows, for PROGRAM and its descendants."""
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

    def test_a_signal_ends_the_wait_for_the_file(self):
        os.mkfifo(self.path("policy"))
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number=number):
                child = self.start(harness.SUPERVISE, "--policy", self.path("policy"), "--",
                                   "touch", self.path("ran"))
                with self.fifo_in_use(self.path("policy")):
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

    def test_calls_while_the_file_is_read_again(self):
        session = Session(self, *self.policy({"pids": [7000]}))
        self.assertEqual(session.call("7000"), [7000])
        os.remove(self.path("policy"))
        os.mkfifo(self.path("policy"))
        serving, = procs.named(procs.SERVE)
        os.kill(serving.pid, signal.SIGHUP)
        with self.fifo_in_use(self.path("policy")) as writer:
            self.assertEqual((session.call("7000"), session.call("7001")), ([7000], ["EPERM"]))
            os.kill(serving.pid, signal.SIGHUP)
            self.wait(lambda: "is read again after that" in self.read("session.err"), "the note")
            json.dump({"rules": [{"pids": [7001]}]}, writer)
        self.wait(lambda: session.call("7001") == [7001], "the first policy")
        with self.fifo_in_use(self.path("policy")) as writer:  # it is read again
            self.assertEqual((session.call("7000"), session.call("7001")), (["EPERM"], [7001]))
            json.dump({"rules": [{"pids": [7002]}]}, writer)
        self.wait(lambda: session.call("7002") == [7002], "the second policy")
        os.kill(serving.pid, signal.SIGHUP)
        with self.fifo_in_use(self.path("policy")):
            self.assertEqual(session.end(), 0)
            self.wait(lambda: procs.get(serving.pid) is None, "the end of the serving process")


if __name__ == "__main__":
    harness.main()
