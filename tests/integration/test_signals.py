# SPDX-License-Identifier: MIT
"""Signals sent to the command reach PROGRAM, each once, and nothing else of it."""
import os
import signal
import subprocess
import time

import harness
import procs

FORWARDED = ["TERM", "HUP", "USR1", "USR2", "INT", "QUIT", "ALRM", "WINCH", "CONT", "TSTP"]

CATCH = """
import signal as s, sys
w = [getattr(s, 'SIG' + n) for n in sys.argv[1:]]
s.pthread_sigmask(s.SIG_BLOCK, w)
print('ready', flush=True)
while True:
    name = s.Signals(s.sigwaitinfo(w).si_signo).name[3:]
    print(name, flush=True)
    if name == 'XCPU': sys.exit(44)
"""


class Forwarding(harness.Case):
    def catcher(self, *options):
        """The wrapper with a PROGRAM that prints every signal; XCPU, sent directly, ends it."""
        child = subprocess.Popen([harness.SUPERVISE, *options, "--", harness.PYTHON, "-c", CATCH,
                                  "XCPU", *FORWARDED], stdout=subprocess.PIPE, text=True,
                                 stdin=subprocess.DEVNULL)
        self.addCleanup(child.stdout.close)
        self.assertEqual(child.stdout.readline(), "ready\n")
        return child

    def program(self, child):
        mine = [p for p in procs.everything()
                if child.pid in [p.pid, *[a.pid for a in procs.ancestors(p.pid)]]]
        return [p for p in mine if p.comm.startswith("python")][0].pid

    def test_each_once(self):
        for options in ((), ("--pidns",)):
            with self.subTest(options=options):
                child = self.catcher(*options)
                wanted = FORWARDED * 5
                got = []
                for name in wanted:
                    os.kill(child.pid, getattr(signal, "SIG" + name))
                    got.append(child.stdout.readline().strip())
                time.sleep(0.3)  # a second copy of the last one would have come by now
                os.kill(self.program(child), signal.SIGXCPU)
                got += child.stdout.read().split()
                self.assertEqual(got, wanted + ["XCPU"])
                self.assertEqual(self.finish(child), 44)

    def test_term_ends_program_and_wrapper(self):
        child = self.start(harness.SUPERVISE, "--", "sleep", "1000")
        self.wait(lambda: procs.named("sleep"), "PROGRAM")
        child.terminate()
        self.assertEqual(self.finish(child), -signal.SIGTERM)
        self.assertEqual(procs.named("sleep"), [])

    def test_term_at_once(self):
        # At any moment of starting up: the wrapper dies of it, or PROGRAM does; none stays behind.
        for delay in range(20):
            child = self.start(harness.SUPERVISE, "--", "sleep", "1000")
            time.sleep(delay / 1000)
            child.terminate()
            self.assertEqual(self.finish(child), -signal.SIGTERM)
        self.wait(lambda: not procs.named("sleep"), "the end of every PROGRAM")
        self.wait(lambda: not procs.named(procs.SERVE), "the end of every serving process")

    def test_group_signal_ends_all(self):
        # As a shell or a service manager does it: the whole process group, wrapper included.
        child = self.start(harness.SUPERVISE, "--", "sleep", "1000", start_new_session=True)
        self.wait(lambda: procs.named("sleep"), "PROGRAM")
        os.killpg(child.pid, signal.SIGTERM)
        self.assertEqual(self.finish(child), -signal.SIGTERM)
        self.wait(lambda: not procs.named(procs.SERVE), "the serving process' end")

    def test_ignored_by_program(self):
        child = subprocess.Popen([harness.SUPERVISE, "--", "sh", "-c",
                                  "trap '' TERM; echo up; read x; exit 21"], text=True,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        child.stdout.readline()
        for _ in range(5):
            child.terminate()
            time.sleep(0.02)
        child.communicate("\n", timeout=60)
        self.assertEqual(child.returncode, 21)

    def test_stop_and_continue(self):
        # kill -TSTP of the command stops PROGRAM; the command is seen to stop; CONT undoes it.
        # A group of its own, with its parent in the same session: an orphaned group never stops.
        child = self.start(harness.SUPERVISE, "--", "sleep", "1000", preexec_fn=os.setpgrp)
        self.wait(lambda: procs.named("sleep"), "PROGRAM")
        os.kill(child.pid, signal.SIGTSTP)
        self.wait(lambda: procs.named("sleep")[0].state == "T", "PROGRAM to stop")
        info = os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        self.assertEqual(info.si_code, os.CLD_STOPPED)
        os.kill(child.pid, signal.SIGCONT)
        self.wait(lambda: procs.named("sleep")[0].state == "S", "PROGRAM to go on")
        child.terminate()
        self.assertEqual(self.finish(child), -signal.SIGTERM)

    def test_stopped_by_sigstop(self):
        # SIGSTOP can't be forwarded; a CONT afterwards must still find everything in order.
        child = self.start(harness.SUPERVISE, "--", "sh", "-c", "sleep 0.2; exit 9")
        os.kill(child.pid, signal.SIGSTOP)
        time.sleep(0.5)
        os.kill(child.pid, signal.SIGCONT)
        self.assertEqual(self.finish(child), 9)

    def test_signal_storm_during_calls(self):
        # -s: SA_RESTART handlers. Without that flag a signal may end a call with EINTR (SPEC.md).
        child = self.start(harness.SUPERVISE, "--", harness.CALL, "-s", "-r", "500",
                           stdout=subprocess.PIPE)
        first = child.stdout.readline()  # the handlers are there
        while child.poll() is None:
            for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGCONT):
                os.kill(child.pid, number)
            time.sleep(0.001)
        self.assertNotIn("errno", first + child.stdout.read())
        self.assertEqual(self.finish(child), 0)


    def test_status_survives_signals_at_the_end(self):
        # Signals that arrive as PROGRAM ends are for nobody; its status must not go with them.
        script = "trap : USR1; echo up; i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; exit 7"
        for _ in range(40):
            child = subprocess.Popen([harness.SUPERVISE, "--", "sh", "-c", script],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            child.stdout.readline()
            while child.poll() is None:
                os.kill(child.pid, signal.SIGUSR1)
                os.kill(child.pid, signal.SIGWINCH)
            child.stdout.close()
            self.assertEqual(child.returncode, 7)


class Kill(harness.Case):
    def test_killed_wrapper(self):
        """SIGKILL can't be forwarded; PROGRAM runs on as a program whose wrapper is gone."""
        child = self.start(harness.SUPERVISE, "--", harness.CALL, "-r", "0", "-i", "10", "-q", "-o",
                           self.path("n"))
        self.wait(lambda: procs.named("clone2-call"), "PROGRAM")
        child.kill()
        self.assertEqual(self.finish(child), -signal.SIGKILL)
        pid = procs.named("clone2-call")[0].pid
        os.kill(pid, signal.SIGTERM)
        self.wait(lambda: not procs.alive(pid), "PROGRAM's end")
        self.wait(lambda: not procs.named(procs.SERVE), "the serving process' end")


if __name__ == "__main__":
    harness.main()
