# SPDX-License-Identifier: MIT
"""Kills the supervisor's processes at random moments: no target is harmed.

The targets are `clone2-conformance endure`, which checks every register and its memory at each
call, in parent and child, and accepts ENOSYS."""
import os
import random
import re
import signal
import time

import harness
import procs
from session import Session, server

ROUNDS = int(os.environ.get("CLONE2_CRASH_ROUNDS", "60"))


class Killed(harness.Case):
    limit = 600
    def endure(self, rounds, victim, threads, late, after=None):
        """Kills the wrapper's process named `victim` while the target calls, `rounds` times."""
        self.need_file("conformance", harness.CONFORMANCE)
        seed = int(os.environ.get("CLONE2_SEED", time.time_ns() % 1000000))
        rng = random.Random(seed)
        calls = unanswered = 0
        for round_number in range(rounds):
            what = f"round {round_number}, seed {seed}: CLONE2_SEED={seed}"
            child = self.start(harness.SUPERVISE, "--", harness.CONFORMANCE, "endure", "2",
                               str(threads), stdout=open(self.path("out"), "w"),
                               stderr=open(self.path("err"), "w"))
            targets = self.wait(lambda: procs.named(victim), victim)
            # Early moments hit the start-up of PROGRAM and the installation of the trampoline.
            time.sleep(rng.uniform(0, late))
            for p in targets:
                try:
                    os.kill(p.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            status = self.finish(child)
            self.wait(lambda: "endure:" in self.read("out") or not self.running(),
                      f"the target's own result, {what}")
            text = f"{what}\n{self.read('out')}{self.read('err')}"
            match = re.search(r"endure: (\d+) calls, (\d+) ENOSYS", text)
            if not match and status == 125 and not self.read("out"):
                self.wait_gone()
                continue  # killed before PROGRAM existed: the wrapper reports its own failure
            self.assertTrue(match, text)
            calls += int(match.group(1))
            unanswered += int(match.group(2))
            if after:
                after(status, text)
            else:
                self.assertEqual(status, 0, text)
            self.assertIsNone(self.wait_gone(), text)
        # Otherwise nothing was tested: calls before the kill must have succeeded, later ones not.
        self.assertGreater(calls, rounds)
        return calls, unanswered

    @staticmethod
    def running():
        """PROGRAM, for when the command has ended. It and the reaper have the command's name at
        first."""
        return [p for p in procs.everything() if not p.ended and p.comm in (
            "clone2-conforma", procs.REAP, procs.COMMAND)]

    def wait_gone(self):
        self.wait(lambda: not self.running(), "the targets' end")

    def test_serving_process(self):
        calls, unanswered = self.endure(ROUNDS, procs.SERVE, 1, 0.3)
        self.assertGreater(calls, unanswered)
        self.assertGreater(unanswered, 0)

    def test_serving_process_with_threads(self):
        calls, unanswered = self.endure(ROUNDS // 2, procs.SERVE, 4, 0.3)
        self.assertGreater(calls, unanswered)
        self.assertGreater(unanswered, 0)

    def test_serving_process_at_the_start(self):
        self.endure(ROUNDS // 2, procs.SERVE, 1, 0.01)

    def test_reaper(self):
        # PROGRAM's parent is gone, so its status is lost: 125 and a message; nothing hangs.
        def after(status, text):
            self.assertEqual(status, 125, text)
            self.assertIn("clone2-supervise:", text)
        calls, unanswered = self.endure(ROUNDS // 4, procs.REAP, 1, 0.3, after)
        self.assertEqual(unanswered, 0, "the serving process lives: targets are served")

    def test_both(self):
        for _ in range(ROUNDS // 4):
            child = self.start(harness.SUPERVISE, "--", harness.CALL, "-q", "-r", "0", "-o",
                               self.path("n"))
            victims = self.wait(lambda: procs.named(procs.REAP), "the reaper")
            victims += procs.named(procs.SERVE)
            time.sleep(random.uniform(0, 0.05))
            for p in victims:
                try:
                    os.kill(p.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.finish(child)
            self.wait(self.end_calls, "targets that can be ended")

    def end_calls(self):
        """Whether none is left. PROGRAM and the reaper have the command's name at first."""
        left = [p for p in procs.everything() if not p.ended and p.comm in (
            "clone2-call", procs.REAP, procs.COMMAND)]
        for p in left:
            if p.comm == "clone2-call":
                try:
                    os.kill(p.pid, signal.SIGTERM)
                except ProcessLookupError:
                    pass
        return not left


class Afterwards(harness.Case):
    def test_status_is_passed_on_without_the_serving_process(self):
        for end, status in (("exit 3", 3), ("kill -TERM $$", -signal.SIGTERM)):
            s = Session(self)
            s.ask("echo up")
            os.kill(server(self), signal.SIGKILL)
            self.wait(lambda: not procs.named(procs.SERVE), "its end")
            s.do(end)
            self.assertEqual(s.end(), status)

    def test_signals_are_forwarded_without_the_serving_process(self):
        child = self.start(harness.SUPERVISE, "--", "sleep", "1000")
        self.wait(lambda: procs.named("sleep"), "PROGRAM")
        os.kill(server(self), signal.SIGKILL)
        child.terminate()
        self.assertEqual(self.finish(child), -signal.SIGTERM)

    def test_clone2_is_gone(self):
        s = Session(self)
        self.assertEqual(s.call("7000"), [7000])
        os.kill(server(self), signal.SIGKILL)
        self.assertEqual(s.call("-r 3"), ["ENOSYS"] * 3)

    def test_a_new_wrapper_helps(self):
        s = Session(self)
        s.ask("echo up")
        os.kill(server(self), signal.SIGKILL)
        self.wait(lambda: not procs.named(procs.SERVE), "its end")
        s.do(f"{harness.SUPERVISE} -- {harness.CALL} 7000")
        self.assertEqual(s.child.stdout.readline(), "pid 7000 status 0\n")

    def test_stopped_target(self):
        # Killed while a target is stopped in the middle of a call: the target continues correctly
        # after CONT.
        for delay in range(20):
            s = Session(self)
            caller = s.start_calls("-r 0")
            caller.advance(self, 3)
            time.sleep(delay / 5000)
            os.kill(caller.pid, signal.SIGSTOP)
            os.kill(server(self), signal.SIGKILL)
            os.kill(caller.pid, signal.SIGCONT)
            caller.advance(self, 20)
            os.kill(caller.pid, signal.SIGKILL)
            self.wait(lambda: not procs.alive(caller.pid), "the target's end")
            _, failures, unanswered = caller.counters()
            self.assertLessEqual(failures - unanswered, 1, "other errors than ENOSYS")
            s.end()
            self.wait(lambda: not procs.named(procs.SERVE), "its end")

    def test_command_process(self):
        # The command process is only the messenger: PROGRAM continues to be served.
        s = Session(self)
        caller = s.start_calls("-r 0 -i 1")
        caller.advance(self)
        s.child.kill()
        self.finish(s.child)
        caller.advance(self, 100)
        self.assertEqual(caller.counters()[1:], (0, 0))
        os.kill(caller.pid, signal.SIGTERM)
        self.wait(lambda: not procs.named(procs.SERVE), "the serving process' end")


if __name__ == "__main__":
    harness.main()
