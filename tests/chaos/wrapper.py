# SPDX-License-Identifier: MIT
"""Wrappers whose processes are killed while their targets call."""
import os
import random
import shutil
import signal
import subprocess
import time

import harness
import procs
from targets import (CRASHES, PATIENCE, Failure, Target, all_gone, disturb, end_all, evidence,
                     is_target, members, send)


class Session:
    """One wrapper with one target, from its start to the end of the last process. All random
    decisions follow from the seed and the number."""

    def __init__(self, run, number):
        self.number = number
        self.rng = random.Random(f"{run.seed}/wrapper/{number}")
        self.directory = os.path.join(run.directory, f"w{number}")
        os.mkdir(self.directory)
        self.mark = f"CLONE2_CHAOS={run.seed}.w{number}".encode()
        self.kills = self.calls = self.unanswered = 0
        self.target = Target(self.rng, self.directory)
        self.victims = self.rng.choice([{procs.SERVE}] * 12 + [
            {procs.REAP}, {procs.COMMAND}, {procs.SERVE, procs.REAP}, {procs.SERVE, procs.COMMAND}])
        self.options = self._options(run.io_uring)

    def _options(self, io_uring):
        options = []
        for share, words in ((.5, ["--log", os.path.join(self.directory, "log")]), (.3, ["--stats"]),
                             (.2, io_uring), (.2, ["--pidns"]), (.3, ["-v"]),
                             (.1, ["--wait-all"])):
            if self.rng.random() < share:
                options += words
        return options

    def __str__(self):
        return (f"session {self.number}: kills {sorted(self.victims)} of "
                f"{' '.join([*self.options, '--', *self.target.argv])}")

    def run(self):
        try:
            self._run()
        except Failure as failure:
            raise Failure(f"{self}\n{failure}\n" + "\n".join(evidence(self.mark, self.target)))\
                from None
        finally:
            end_all(self.mark)
        shutil.rmtree(self.directory)

    def _wait(self, condition, what):
        value = procs.wait_for(condition, PATIENCE)
        if not value:  # what hangs is ended before run() looks
            raise Failure("\n".join([f"waited {PATIENCE} s for {what}",
                                     *evidence(self.mark, self.target)]))
        return value

    def _run(self):
        with open(os.path.join(self.directory, "out"), "w") as out, \
                open(os.path.join(self.directory, "err"), "w") as err:
            self.child = subprocess.Popen(
                [harness.SUPERVISE, *self.options, "--", *self.target.argv], stdin=subprocess.DEVNULL,
                stdout=out, stderr=err, start_new_session=True,
                env={**os.environ, "CLONE2_CHAOS": self.mark.decode().split("=")[1]})
        try:
            self._kill_in_the_midst()
            self._end_target()
            status = self._end_wrapper()
        finally:
            if self.child.poll() is None:
                self.child.kill()
            self.child.wait()
        self._judge(status)

    def _victims(self):
        found = [p for p in members(self.mark) if p.comm in self.victims and not is_target(p)]
        # The command process also has this name before it is renamed: take only the one that we
        # started.
        return [p for p in found if p.comm != procs.COMMAND or p.pid == self.child.pid]

    def _kill_in_the_midst(self):
        self._wait(lambda: len({p.comm for p in self._victims()}) == len(self.victims)
                   or self.child.poll() is not None, "the wrapper's start")
        # Early moments hit the start of PROGRAM and the installation of the trampoline.
        late = self.rng.choice([0, .01, .05, .3, 1])
        stopped = []
        for _ in range(self.rng.randint(1, 4)):
            time.sleep(self.rng.random() * late / 2)
            stopped += disturb(self.rng, self.mark, self.target)
        for p in self._victims():
            self.kills += send(p, signal.SIGKILL)
        time.sleep(self.rng.random() * late / 4)
        for p in stopped:
            send(p, signal.SIGCONT)

    def _end_target(self):
        """A target that calls until it is killed must still be able to."""
        if self.target.ends:
            return
        before = self.target.counters()
        if before:
            self._wait(lambda: self.target.counters()[0] > before[0] + 20 or not self._targets(),
                       "calls after the kill")
        # Repeats until the last, because PROGRAM may only be starting.
        self._wait(self._terminated, "the end of targets that were sent SIGTERM")

    def _targets(self):
        return [p for p in members(self.mark) if is_target(p)]

    def _terminated(self):
        for p in self._targets():
            self.target.end(p, signal.SIGTERM)
        return self.child.poll() is not None and all_gone(self.mark)

    def _end_wrapper(self):
        self._wait(lambda: self.child.poll() is not None, "the wrapper's end")
        self._wait(lambda: all_gone(self.mark), "the end of all that it had started")
        return self.child.returncode

    def _judge(self, status):
        self.target.check_files()
        if -status in CRASHES or status - 128 in CRASHES:
            raise Failure(f"exit status {status}")
        spared = not self.victims & {procs.REAP, procs.COMMAND}
        started = self.target.read("out") or self.target.counters()
        if spared and self.target.ends and status != 0 and not (status == 125 and not started):
            raise Failure(f"exit status {status}")
        told = self.target.calls_of_endure()
        if spared and self.target.endures and status == 0 and not told:
            raise Failure("no word of the target")
        counted = self.target.counters()
        if told or counted:
            self.calls, self.unanswered = told or (counted[0], counted[2])
