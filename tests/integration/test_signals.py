# SPDX-License-Identifier: MIT
"""Signals sent to the command reach PROGRAM exactly once, and nothing else does."""
import ctypes
import os
import signal
import subprocess
import time

import harness
import procs
import tracing

# 32 and 33 are reserved by the C library.
FORWARDED = sorted(signal.valid_signals()
                   - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGRTMAX, 32, 33})
# Of several pending signals the lowest number is taken first, so this one comes last.
LAST = signal.SIGRTMAX

# Prints every signal that it gets; LAST ends it. "group": it is in its own process group.
CATCH = """
import os, signal as s, sys
s.pthread_sigmask(s.SIG_BLOCK, s.valid_signals())
if 'group' in sys.argv: os.setpgid(0, 0)
print('ready', flush=True)
while True:
    number = s.sigwaitinfo(s.valid_signals() - {s.SIGCHLD}).si_signo
    print(int(number), flush=True)
    if number == s.SIGRTMAX: sys.exit(44)
"""

# Sends signals to its init and to its process group, and prints those it gets.
INSIDE = """
import os, signal as s
s.pthread_sigmask(s.SIG_BLOCK, s.valid_signals())
print('ready', flush=True)
for whom, number in (1, s.SIGUSR1), (0, s.SIGUSR2), (1, s.SIGRTMAX):
    os.kill(whom, number)
    print(int(s.sigwaitinfo(s.valid_signals() - {s.SIGCHLD}).si_signo), flush=True)
"""

# Prints the sender and value of one SIGRTMIN+3: siginfo_t of x86-64.
QUEUED = """
import ctypes, signal as s, struct
s.pthread_sigmask(s.SIG_BLOCK, [s.SIGRTMIN + 3])
print('ready', flush=True)
info, mask = ctypes.create_string_buffer(128), (ctypes.c_ulong * 16)(1 << s.SIGRTMIN + 2)
assert ctypes.CDLL(None).sigwaitinfo(mask, info) == s.SIGRTMIN + 3
print(*struct.unpack('i4xi', info[8:12] + b'....' + info[16:20]), *struct.unpack('Q', info[24:32]))
"""


class Forwarding(harness.Case):
    def catcher(self, *options, program=CATCH, arguments=()):
        """The wrapper, in its own process group, with this PROGRAM ready."""
        child = subprocess.Popen([harness.SUPERVISE, *options, "--", harness.PYTHON, "-c", program,
                                  *arguments], stdout=subprocess.PIPE, text=True,
                                 stdin=subprocess.DEVNULL, preexec_fn=os.setpgrp)
        self.addCleanup(child.stdout.close)
        self.assertEqual(child.stdout.readline(), "ready\n")
        # PROGRAM may run before the reaper watches what is sent to the group. Then it has its name.
        self.wait(lambda: [p.pid for p in procs.named(procs.COMMAND)] == [child.pid], "the reaper")
        return child

    def each_once(self, send, child, numbers):
        """Sends each of these signals when the one before has arrived; each arrives once."""
        got = []
        for number in numbers:
            send(child.pid, number)
            got.append(int(child.stdout.readline()))
        self.assertIsNone(child.poll())
        self.ends_after(child, got, numbers)

    def ends_after(self, child, got, wanted):
        """Asserts that nothing more arrived than was sent."""
        os.kill(child.pid, LAST)
        got += map(int, child.stdout.read().split())
        self.assertEqual(got, [*map(int, wanted), LAST])
        self.assertEqual(self.finish(child), 44)

    def program(self, child):
        mine = [p for p in procs.everything()
                if child.pid in [p.pid, *[a.pid for a in procs.ancestors(p.pid)]]]
        return [p for p in mine if p.comm.startswith("python")][0].pid

    def test_each_once(self):
        for options in ((), ("--pidns",)):
            for send in (os.kill, os.killpg):
                for arguments in ((), ("group",)):
                    with self.subTest(options=options, send=send, arguments=arguments):
                        child = self.catcher(*options, arguments=arguments)
                        self.each_once(send, child, FORWARDED * 5)
                        child = self.catcher(*options, arguments=arguments)
                        self.each_once(send, child,
                                       [number for number in FORWARDED for _ in range(20)])

    def test_value(self):
        libc = ctypes.CDLL(None)
        for options in ((), ("--pidns",)):
            child = self.catcher(*options, program=QUEUED)
            libc.sigqueue(child.pid, signal.SIGRTMIN + 3, ctypes.c_void_p(0x1234567890))
            sender = str(os.getpid())  # as the wrapper sees it
            self.assertEqual(child.stdout.read().split(), ["-1", sender, str(0x1234567890)])
            self.assertEqual(self.finish(child), 0)

    def test_each_that_ends_a_program(self):
        ignored = {signal.SIGCONT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGURG,
                   signal.SIGWINCH}
        for number in [*FORWARDED, LAST]:
            if number in ignored:
                continue
            with self.subTest(number=number):
                child = self.start(harness.SUPERVISE, "--", "prlimit", "--core=0", "sleep", "1000")
                self.wait(lambda: procs.named("sleep"), "PROGRAM")
                os.kill(child.pid, number)
                self.assertEqual(self.finish(child), -number)
                self.assertEqual(procs.named("sleep"), [])

    def held(self, child):
        """The wrapper and the reaper, in both orders."""
        return child.pid, procs.named(procs.REAP)[0].pid

    def test_to_the_group_while_one_is_held(self):
        # If one of them is late, it sees fewer standard signals than PROGRAM got. No signal may be
        # forwarded twice.
        for number in (signal.SIGUSR1, signal.SIGRTMIN + 3):
            for who in (0, 1):
                with self.subTest(number=number, who=who):
                    child = self.catcher()
                    tid = self.held(child)[who]
                    other = self.held(child)[1 - who]
                    tracing.hold(tid)
                    got = []
                    for _ in range(5):
                        os.killpg(child.pid, number)
                        got.append(int(child.stdout.readline()))
                        self.wait(lambda: self.took_all(other), "the other one")
                    tracing.let_go(tid)
                    self.ends_after(child, got, [number] * 5)

    @staticmethod
    def took_all(pid):
        return int(procs.status(pid)["ShdPnd"], 16) == 0 and procs.get(pid).state == "S"

    def test_alone_after_one_to_the_group(self):
        # What is remembered of the group's signal must not swallow the next one.
        child = self.catcher()
        got = []
        for _ in range(50):
            for send in (os.killpg, os.kill):
                send(child.pid, signal.SIGUSR1)
                got.append(int(child.stdout.readline()))
                self.wait(lambda: all(map(self.took_all, self.held(child))), "both")
        self.ends_after(child, got, [signal.SIGUSR1] * 100)

    def test_to_all_but_the_wrapper(self):
        # A signal that only the reaper and PROGRAM got must not be taken for the wrapper's next
        # one.
        child = self.catcher()
        os.kill(self.held(child)[1], signal.SIGUSR1)
        self.wait(lambda: all(map(self.took_all, self.held(child))), "both")
        self.each_once(os.kill, child, [signal.SIGUSR1])

    def test_stops_and_continuations_before_they_are_read(self):
        # Each discards the other while pending, and so hides it from the wrapper or the reaper.
        stop, go_on = signal.SIGTSTP, signal.SIGCONT
        for who, sent in ((1, [(os.killpg, stop), (os.killpg, go_on)]),
                          (1, [(os.killpg, go_on), (os.killpg, stop)]),
                          (0, [(os.killpg, stop), (os.kill, go_on)]),
                          (0, [(os.killpg, go_on), (os.kill, stop)])):
            with self.subTest(who=who, sent=sent):
                child = self.catcher()
                held = self.held(child)
                tracing.hold(held[who])
                got = []
                for send, number in sent:
                    send(child.pid, number)
                    if send is os.killpg:
                        got.append(int(child.stdout.readline()))
                        self.wait(lambda: self.took_all(held[1 - who]), "the other one")
                tracing.let_go(held[who])
                if len(got) < len(sent):
                    got.append(int(child.stdout.readline()))
                self.ends_after(child, got, [number for _, number in sent])

    def test_to_the_init_from_within(self):
        child = self.catcher("--pidns", program=INSIDE)
        got = list(map(int, child.stdout.read().split()))
        self.assertEqual(got, [signal.SIGUSR1, signal.SIGUSR2, LAST])
        self.assertEqual(self.finish(child), 0)

    def test_leftovers_are_not_in_the_group(self):
        child = self.start(harness.SUPERVISE, "--", "sh", "-c", "setsid sleep 1000 & exec true",
                           preexec_fn=os.setpgrp)
        self.assertEqual(self.finish(child), 0)
        self.wait(lambda: procs.named("sleep"), "the one that stays")
        self.assertNotEqual(procs.named(procs.REAP), [])
        self.assertRaises(ProcessLookupError, os.killpg, child.pid, 0)

    def test_term_ends_program_and_wrapper(self):
        child = self.start(harness.SUPERVISE, "--", "sleep", "1000")
        self.wait(lambda: procs.named("sleep"), "PROGRAM")
        child.terminate()
        self.assertEqual(self.finish(child), -signal.SIGTERM)
        self.assertEqual(procs.named("sleep"), [])

    def test_term_at_once(self):
        # At any moment of start-up the wrapper or PROGRAM dies of it; neither stays behind.
        for delay in range(40):
            child = self.start(harness.SUPERVISE, "--", "sleep", "1000", preexec_fn=os.setpgrp)
            time.sleep(delay // 2 / 1000)
            (os.kill, os.killpg)[delay % 2](child.pid, signal.SIGTERM)
            self.assertEqual(self.finish(child), -signal.SIGTERM)
        self.wait(lambda: not procs.named("sleep"), "the end of every PROGRAM")
        self.wait(lambda: not procs.named(procs.SERVE), "the end of every serving process")

    def test_group_signal_ends_all(self):
        # As a shell or a service manager does it: to the whole process group, including the
        # wrapper.
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
        # kill -TSTP of the command stops PROGRAM; the command is seen to stop; CONT undoes it. The
        # command is in its own group, with its parent in the same session, because an orphaned
        # group never stops.
        child = self.start(harness.SUPERVISE, "--", "sleep", "1000", preexec_fn=os.setpgrp)
        self.wait(lambda: procs.named("sleep"), "PROGRAM")
        os.kill(child.pid, signal.SIGTSTP)
        self.wait(lambda: procs.named("sleep")[0].state == "T", "PROGRAM to stop")
        info = os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        self.assertEqual(info.si_code, os.CLD_STOPPED)
        os.kill(child.pid, signal.SIGCONT)
        self.wait(lambda: procs.named("sleep")[0].state == "S", "PROGRAM to continue")
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
        # -s: SA_RESTART handlers. Without that flag a signal may end a call with EINTR.
        child = self.start(harness.SUPERVISE, "--", harness.CALL, "-s", "-r", "500",
                           stdout=subprocess.PIPE)
        first = child.stdout.readline()  # the handlers are installed
        while child.poll() is None:
            for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGCONT):
                os.kill(child.pid, number)
            time.sleep(0.001)
        self.assertNotIn("errno", first + child.stdout.read())
        self.assertEqual(self.finish(child), 0)


    def test_status_survives_signals_at_the_end(self):
        # Signals that arrive while PROGRAM ends are dropped; its status must not be lost with them.
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
        """SIGKILL can't be forwarded; PROGRAM keeps running after its wrapper is gone."""
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
