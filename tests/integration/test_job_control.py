# SPDX-License-Identifier: MIT
"""Jobs are stopped and continued, in foreground and background: same as without the wrapper."""
import os
import signal
import subprocess
import time

import harness
import procs
import terminal
import tracing

KILL, CLONE = 62, 56  # x86-64
# How the wrapper stops itself for each signal: its first system call for that.
OWN_STOPS = ((signal.SIGTSTP, KILL), (signal.SIGSTOP, CLONE))


class Jobs(terminal.Case):
    def test_stop_and_foreground(self):
        t = terminal.shell(self)
        t.send('$S -- sleep 1000\n')
        self.program("sleep")
        for _ in range(3):
            t.key("Z")
            t.expect(r"Stopped")
            self.stopped("sleep")
            t.send("jobs\n")
            t.expect(r"Stopped.*sleep 1000")
            t.send("fg\n")
            self.wait(lambda: [p for p in procs.named("sleep") if p.state == "S"], "sleep to continue")
            self.in_front(t, "sleep")
        t.key("C")
        self.assertEqual(t.last_status(), 130)

    def handed_on(self, job):
        """Waits until the wrapper has taken all its signals."""
        self.wait(lambda: self.in_poll(job), "the wrapper to have forwarded it")

    @staticmethod
    def pending(pid):
        return int(procs.status(pid)["ShdPnd"], 16)

    def in_poll(self, pid):
        return self.pending(pid) == 0 and procs.get(pid).state == "S"

    def let_reaper_go(self, reaper, job, held):
        """Also waits until it has forwarded everything it received. `held`: PROGRAM, which takes no
        signals."""
        os.kill(job, signal.SIGWINCH)
        self.handed_on(job)
        tracing.let_go(reaper)
        self.wait(lambda: self.pending(held) & 1 << signal.SIGWINCH - 1, "the reaper's work")

    def stopped_job(self, *options):
        """An interactive shell's job, stopped with Ctrl-Z: terminal, pids of job, PROGRAM,
        reaper."""
        t = terminal.shell(self)
        t.send(f"$S {' '.join(options)} -- sleep 1000\n")
        sleep = self.program("sleep")
        t.key("Z")
        t.expect(r"Stopped")
        t.expect(r"READY\$ ")
        self.stopped("sleep")
        return t, sleep.pgrp, sleep.pid, procs.named(procs.REAP)[0].pid

    def background_job(self, *options):
        """The same, running in the background."""
        t, job, sleep, reaper = self.stopped_job(*options)
        t.send("bg\n")
        t.expect(r"READY\$ ")
        self.going_on(sleep, job)
        self.handed_on(job)
        return t, job, sleep, reaper

    def end_in_front(self, t):
        t.send("fg\n")
        self.in_front(t, "sleep")
        t.key("C")
        self.assertEqual(t.last_status(), 130)

    def ended(self, t, status):
        """The wrapper ends by itself, and the shell receives this status. The shell must be at its
        prompt before: else it reports the end by itself, and forgets the job."""
        self.wait(lambda: not procs.named(procs.COMMAND), "the wrapper's end")
        t.send("wait %1\n")
        self.assertEqual(t.last_status(), status)

    def going_on(self, *pids):
        self.wait(lambda: all(procs.get(pid).state == "S" for pid in pids), "all of it to continue")

    def test_stop_under_the_proc_of_another_namespace(self):
        # The reaper's pids must not be looked up in a /proc that is another namespace's. An init
        # is stopped from outside only.
        for options in ("--pidns=2 --pid=1", "--pidns=3 --pid=1", "--pidns=2"):
            with self.subTest(options):
                t = terminal.shell(self)
                t.send(f"$S {options} -- sleep 1000\n")
                sleep = self.program("sleep")
                self.handed_on(t.foreground())
                os.kill(sleep.pid, signal.SIGSTOP)
                t.expect("Stopped")
                t.expect(r"READY\$ ")
                os.kill(sleep.pid, signal.SIGKILL)
                self.ended(t, 137)

    def test_stop_at_once_after_foreground(self):
        # The wrapper forwards the shell's SIGCONT. Forwarded late, it must not undo the next stop.
        _, job, sleep, reaper = self.stopped_job()
        tracing.hold(reaper)
        os.killpg(job, signal.SIGCONT)
        self.handed_on(job)
        os.kill(sleep, signal.SIGTSTP)
        self.wait(lambda: self.program("sleep").state == "T", "the stop")
        tracing.let_go(reaper)
        self.stopped("sleep")
        # Now it is wanted.
        os.kill(job, signal.SIGCONT)
        self.going_on(sleep, job)

    def test_stop_of_a_busy_program_at_once_after_foreground(self):
        # The same if PROGRAM has not acted on its stop yet: a SIGCONT would discard it.
        t, job, sleep, reaper = self.stopped_job()
        tracing.hold(reaper)
        t.send("fg\n")
        self.in_front(t, "sleep")
        self.going_on(sleep, job)
        self.handed_on(job)
        tracing.hold(sleep)
        t.key("Z")
        self.wait(lambda: self.pending(sleep) & 1 << signal.SIGTSTP - 1, "the key")
        self.let_reaper_go(reaper, job, sleep)
        tracing.let_go(sleep)
        self.stopped("sleep")
        t.expect(r"Stopped")

    def test_stop_and_continue_forwarded(self):
        # Both are sent to the wrapper alone, and PROGRAM is too busy to stop in between.
        t, job, sleep, reaper = self.background_job()
        tracing.hold(reaper)
        tracing.hold(sleep)
        os.kill(job, signal.SIGTSTP)
        self.handed_on(job)
        os.kill(job, signal.SIGCONT)
        self.let_reaper_go(reaper, job, sleep)
        tracing.let_go(sleep)
        self.going_on(sleep, job)
        self.end_in_front(t)

    def test_continued_before_the_wrapper_has_stopped(self):
        for stop in (signal.SIGTSTP, signal.SIGSTOP):
            with self.subTest(stop):
                t, job, sleep, _ = self.background_job()
                tracing.hold(job)
                os.kill(sleep, stop)
                self.wait(lambda: procs.get(sleep).state == "T", "the stop")
                os.kill(sleep, signal.SIGCONT)
                self.wait(lambda: procs.get(sleep).state == "S", "the continuation")
                tracing.let_go(job)
                self.going_on(sleep, job)
                self.end_in_front(t)

    def test_program_alone_is_continued(self):
        # The wrapper continues with it, and the shell learns of its end.
        t, job, sleep, _ = self.stopped_job()
        os.kill(sleep, signal.SIGCONT)
        self.going_on(sleep, job)
        os.kill(sleep, signal.SIGTERM)
        self.ended(t, 143)

    def test_stopped_program_is_killed(self):
        t, job, sleep, _ = self.stopped_job()
        os.kill(sleep, signal.SIGKILL)
        self.ended(t, 137)

    def test_program_of_stopped_group_is_killed(self, *options):
        # SIGSTOP to the group: the wrapper has not stopped itself, and must wake anyway.
        t, job, sleep, _ = self.background_job(*options)
        os.killpg(job, signal.SIGSTOP)
        self.stopped("sleep")
        os.kill(sleep, signal.SIGKILL)
        self.ended(t, 137)

    def test_program_of_stopped_group_with_pid_namespace_is_killed(self):
        self.test_program_of_stopped_group_is_killed("--pidns")

    def test_stopped_group_continues_at_once(self):
        # The wrapper learns of the stop after it is over: it must not stop again.
        t, job, sleep, reaper = self.background_job()
        os.killpg(job, signal.SIGSTOP)
        self.stopped("sleep")
        self.wait(lambda: procs.get(reaper).state == "S", "the news of the stop")
        tracing.hold(reaper)
        t.send("fg\n")
        self.in_front(t, "sleep")
        self.handed_on(job)
        tracing.let_go(reaper)
        t.key("C")
        self.assertEqual(t.last_status(), 130)

    def test_stopped_group_is_continued_and_interrupted_at_once(self):
        # The same, but PROGRAM begins to exit before the reaper has seen that it was continued: the
        # kernel no longer reports that.
        t = terminal.shell(self)
        t.send("$S -- $PY -c 'import signal; x = bytearray(1 << 28); x[::4096] = b\"1\" * (1 << 16);"
               " signal.signal(2, 0); print(\"REA\" + \"DY\"); signal.pause()'\n")
        reaper = self.program(procs.REAP).pid
        program = self.wait(lambda: [p for p in procs.everything() if p.ppid == reaper], "PROGRAM")[0]
        t.expect("READY\n")
        os.killpg(program.pgrp, signal.SIGSTOP)
        t.expect("Stopped")
        self.wait(lambda: procs.get(program.pid).state == "T", "the stop")
        self.wait(lambda: procs.get(reaper).state == "S", "the news of the stop")
        tracing.hold(reaper)
        t.send("fg\n")
        self.wait(lambda: t.foreground() == program.pgrp, "PROGRAM in the foreground")
        self.handed_on(program.pgrp)
        t.key("C")
        while not procs.is_exiting(program.pid):
            pass
        tracing.let_go(reaper)
        self.assertEqual(t.last_status(), 130)

    def own_stop(self, stop, begin):
        """A terminal, PROGRAM, which has got this signal, and its wrapper, held before the system
        call with which it begins to stop, too."""
        t = terminal.shell(self)
        t.send('$S -- sleep 1000\n')
        sleep = self.program("sleep")
        self.handed_on(sleep.pgrp)
        wrapper = tracing.Before(sleep.pgrp, begin)
        os.kill(sleep.pid, stop)
        self.wait(wrapper.reached, "the wrapper's stop")
        return t, sleep, wrapper

    def test_killed_while_the_wrapper_stops(self):
        # PROGRAM's end is reported just before the wrapper stops.
        for stop, begin in OWN_STOPS:
            with self.subTest(stop):
                t, sleep, wrapper = self.own_stop(stop, begin)
                os.kill(sleep.pid, signal.SIGKILL)
                self.wait(lambda: not procs.named(procs.REAP), "the report of the reaper")
                wrapper.let_go()
                self.assertEqual(t.last_status(), 137)

    def test_reaper_killed_while_the_wrapper_stops(self):
        # The bell rings before the wrapper's stop, which discards the SIGCONT, and the kernel has
        # not closed the reaper's end of the messages yet.
        for stop, begin in OWN_STOPS:
            with self.subTest(stop):
                t, sleep, wrapper = self.own_stop(stop, begin)
                reaper = procs.named(procs.REAP)[0].pid
                messages = tracing.duplicate(reaper, min(tracing.sockets(reaper)))
                os.kill(reaper, signal.SIGKILL)
                self.wait(lambda: not procs.named(procs.REAP), "the reaper's end")
                wrapper.let_go()
                self.handed_on(sleep.pgrp)
                os.close(messages)
                self.assertEqual(t.last_status(), 125)
                # An orphaned process group that is stopped gets SIGHUP.
                self.wait(lambda: not procs.named("sleep"), "the end of PROGRAM")

    def test_program_ends_as_soon_as_it_is_continued(self):
        # PROGRAM takes long to end, and the kernel reports no continuation in that time: the
        # wrapper must not stop again.
        t = terminal.shell(self)
        t.send("$S -- $PY -c 'import os; x = bytearray(1 << 28); x[::4096] = b\"1\" * (1 << 16); "
               "os.kill(os.getpid(), 19); os._exit(5)'\n")
        t.expect(r"Stopped")
        program = self.stopped("python3").pid
        reaper = procs.named(procs.REAP)[0].pid
        tracing.hold(reaper)
        t.send("fg\n")
        while not procs.is_exiting(program):
            pass
        tracing.let_go(reaper)
        self.assertEqual(t.last_status(), 5)

    def test_wrapper_alone_is_continued_before_it_has_stopped(self):
        # The SIGCONT is for the stop that the wrapper has not heard of yet.
        t, job, sleep, _ = self.background_job()
        tracing.hold(job)
        os.kill(sleep, signal.SIGSTOP)
        self.wait(lambda: procs.get(sleep).state == "T", "the stop")
        os.kill(job, signal.SIGCONT)
        tracing.let_go(job)
        self.going_on(sleep, job)

    def test_wrapper_s_continuation_is_discarded(self):
        # A stop discards it that PROGRAM does not see, because it has already stopped. Both must
        # stay stopped.
        t, job, sleep, _ = self.background_job()
        os.kill(sleep, signal.SIGSTOP)
        self.stopped("sleep")
        tracing.hold(job)
        os.kill(job, signal.SIGCONT)
        os.kill(job, signal.SIGTSTP)
        tracing.let_go(job)
        self.wait(lambda: self.pending(sleep), "the stop to be forwarded")
        self.stopped("sleep")
        self.end_in_front(t)

    def test_continuation_after_one_for_program_alone(self):
        # The one for PROGRAM has used up no SIGCONT of the wrapper.
        _, job, sleep, _ = self.stopped_job()
        os.kill(sleep, signal.SIGCONT)
        self.going_on(sleep, job)
        self.handed_on(job)
        os.killpg(job, signal.SIGSTOP)
        self.stopped("sleep")
        os.kill(job, signal.SIGCONT)
        self.going_on(sleep, job)

    def test_reaper_of_stopped_program_is_killed(self):
        _, _, _, reaper = self.stopped_job()
        os.kill(reaper, signal.SIGKILL)
        self.wait(lambda: not procs.named(procs.COMMAND), "the wrapper's end")

    def test_program_that_stops_itself(self):
        t = terminal.shell(self)
        t.send("$S -- sh -c 'kill -STOP $$; exit 6'\n")
        t.expect(r"Stopped")
        t.send("fg\n")
        self.assertEqual(t.last_status(), 6)

    def test_clone2_works_after_stop(self):
        t = terminal.shell(self)
        t.send(f"$S -- $CALL -r 0 -i 10 -q -o {self.path('n')}\n")
        self.wait(lambda: self.calls_done() > 10, "calls")
        t.key("Z")
        t.expect(r"Stopped")
        self.stopped("clone2-call")
        t.send("bg\n")
        before = self.calls_done()
        self.wait(lambda: self.calls_done() > before + 10, "calls in the background")
        t.send("fg\n")
        self.in_front(t, "clone2-call")
        t.key("C")
        t.expect(r"READY\$ ")

    def calls_done(self):
        try:
            with open(self.path("n"), "rb") as f:
                return int.from_bytes(f.read(8), "little")
        except FileNotFoundError:
            return 0

    def test_background_job(self):
        t = terminal.shell(self)
        t.send("$S -- sh -c 'exit 12' & wait $!\n")
        self.assertEqual(t.last_status(), 12)

    def test_with_new_pid_namespace(self):
        t = terminal.shell(self)
        t.send('$S --pidns -- sleep 1000\n')
        self.program("sleep")
        t.key("Z")
        t.expect(r"Stopped")
        t.send("fg\n")
        self.wait(lambda: [p for p in procs.named("sleep") if p.state == "S"], "sleep to continue")
        t.key("C")
        self.assertEqual(t.last_status(), 130)


class WithoutTerminal(harness.Case):
    def test_no_controlling_terminal(self):
        child = subprocess.run([harness.SUPERVISE, "--", harness.CALL, "-r", "3"], timeout=60,
                               stdin=subprocess.DEVNULL, capture_output=True, text=True,
                               start_new_session=True)
        self.assertEqual(len(harness.calls(child.stdout)), 3, child)

    def test_init_of_a_namespace(self):
        # An init can't be stopped: the wrapper must not try forever.
        child = self.start("unshare", "--pid", "--fork", "--kill-child", harness.SUPERVISE, "--",
                           "sleep", "1000")
        sleep = self.wait(lambda: procs.named("sleep"), "PROGRAM")[0].pid
        wrapper = procs.named(procs.COMMAND)[0].pid
        os.kill(sleep, signal.SIGSTOP)
        self.wait(lambda: procs.get(sleep).state == "T", "the stop")

        def idle():
            before = procs.status(wrapper)
            time.sleep(0.2)
            return procs.status(wrapper) == before
        self.wait(idle, "the wrapper to become idle")
        os.kill(wrapper, signal.SIGCONT)
        self.wait(lambda: procs.get(sleep).state == "S", "PROGRAM to continue")
        os.kill(sleep, signal.SIGTERM)
        self.assertEqual(self.finish(child), 143)

    def test_own_process_group(self):
        # PROGRAM's parent is in its session but in another group, as without us: it can be stopped.
        for options in ((), ("--pidns",)):
            with self.subTest(options=options):
                child = self.start(harness.SUPERVISE, *options, "--", harness.PYTHON, "-c",
                                   "import os; os.setpgid(0, 0); "
                                   "os.execvp('sleep', ['sleep', '1000'])", preexec_fn=os.setpgrp)
                sleep = self.wait(lambda: procs.named("sleep"), "PROGRAM")[0].pid
                os.kill(sleep, signal.SIGTSTP)
                self.wait(lambda: procs.get(sleep).state == "T", "the stop")
                os.kill(sleep, signal.SIGCONT)
                self.wait(lambda: procs.get(sleep).state == "S", "PROGRAM to continue")
                os.kill(sleep, signal.SIGTERM)
                self.assertEqual(self.finish(child), -signal.SIGTERM)

    def test_group_without_a_shell(self):
        # The parents of the group's other members are in the group or in another session: orphaned,
        # as without us.
        child = self.start("setsid", "sh", "-c", '"$0" -- sh -c \'kill -TSTP $$; exit 8\'; exit $?',
                           harness.SUPERVISE)
        self.assertEqual(self.finish(child), 8)

    def test_orphaned_process_group(self):
        # SIGTSTP's default action has no effect in an orphaned group: the wrapper must not hang.
        child = self.start(harness.SUPERVISE, "--", "sh", "-c", "kill -TSTP $$; exit 8",
                           start_new_session=True)
        self.assertEqual(self.finish(child), 8)


if __name__ == "__main__":
    harness.main()
