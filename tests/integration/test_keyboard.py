# SPDX-License-Identifier: MIT
"""The terminal and its keys: same as without the wrapper."""
import os
import signal
import time

import harness
import procs
import terminal

# Prints each of these signals that it gets, one per line.
CATCH = ("import signal as s,sys\n"
         "names=sys.argv[1:]; w=[getattr(s,'SIG'+n) for n in names]\n"
         "s.pthread_sigmask(s.SIG_BLOCK,w); print('catching',flush=True)\n"
         "while True: print('got',s.Signals(s.sigwaitinfo(w).si_signo).name,flush=True)\n")


class Keyboard(terminal.Case):
    def catch(self):
        with open(self.path("catch.py"), "w") as f:
            f.write(CATCH)
        return self.path("catch.py")

    def test_interrupt_ends_program(self):
        t = terminal.shell(self)
        t.send('$S -- sleep 1000\n')
        self.program("sleep")
        t.key("C")
        self.assertEqual(t.last_status(), 130)

    def test_interrupt_ends_a_shell_loop(self):
        # A shell stops its loop only if the command *died* of SIGINT.
        script = 'for i in 1 2 3; do "$0" -- sleep 1000; done; echo after'
        t = terminal.Terminal(["sh", "-c", script, harness.SUPERVISE])
        self.addCleanup(t.close)
        self.program("sleep")
        t.key("C")
        self.assertEqual(t.finish(), -signal.SIGINT)
        self.assertNotIn("after", t.text)

    def test_program_that_handles_interrupt_keeps_running(self):
        t = terminal.shell(self)
        t.send("$S -- sh -c 'trap \"echo caught\" INT; echo up; sleep 1000; sleep 0; exit 4'\n")
        t.expect(r"^up$")
        self.program("sleep")
        t.key("C")
        t.expect(r"caught$")
        self.assertEqual(t.last_status(), 4)

    def test_each_key_is_delivered_once(self):
        t = terminal.shell(self)
        t.send(f"$S -- $PY {self.catch()} INT QUIT\n")
        t.expect(r"^catching$")
        for _ in range(20):
            t.key("C")
            t.expect(r"got SIGINT$")
            t.key("\\")
            t.expect(r"got SIGQUIT$")
        time.sleep(0.3)  # a second copy would have arrived by now
        t._read(0)
        self.assertNotIn("got", t.text)

    def test_quit(self):
        t = terminal.shell(self)
        t.send('ulimit -c 0; $S -- sleep 1000\n')
        self.program("sleep")
        t.key("\\")
        self.assertEqual(t.last_status(), 131)

    def test_background_reader_is_stopped(self):
        t = terminal.shell(self)
        t.send("$S -- cat &\n")
        self.stopped("cat")
        t.send("\n")
        t.expect(r"Stopped")
        t.send("fg\n")
        self.in_front(t, "cat")
        t.send("hello\n")
        t.expect(r"^hello\nhello$")
        t.key("D")
        self.assertEqual(t.last_status(), 0)

    def test_background_writer_is_stopped(self):
        # SIGTTOU goes to the whole process group: the wrapper must not stop twice.
        t = terminal.shell(self)
        t.send("stty tostop; $S -- sh -c 'echo wri''tten; exit 5' &\n")
        self.stopped("sh")
        t.send("\n")
        t.expect(r"Stopped")
        t.send("fg\n")
        t.expect(r"written")
        self.assertEqual(t.last_status(), 5)

    def test_program_reads_the_terminal(self):
        t = terminal.shell(self)
        t.send("$S -- sh -c 'echo up; read line; echo \"<$line>\"; tty; ps -o stat= -p $$'\n")
        t.expect(r"^up$")
        t.send("words\n")
        t.expect(r"^<words>$")
        t.expect(r"^/dev/pts/\d+$")
        self.assertIn("+", t.expect(r"^\w\S*$").group(), "not in the foreground")

    def test_nested_interactive_shell(self):
        # As PROGRAM, a job-control shell creates its own process groups on the same terminal.
        t = terminal.shell(self)
        t.send("PS1='INNER> ' $S -- bash --norc --noprofile --noediting -i\n")
        t.expect(r"INNER> ")
        t.send("sleep 1000\n")
        self.program("sleep")
        t.key("Z")
        t.expect(r"Stopped")
        t.expect(r"INNER> ")
        t.send("fg\n")
        self.in_front(t, "sleep")
        t.key("C")
        t.send("exit 3\n")
        self.assertEqual(t.last_status(), 3)

    def test_window_size(self):
        t = terminal.shell(self)
        t.send(f"$S -- $PY {self.catch()} WINCH\n")
        t.expect(r"^catching$")
        t.resize(40, 100)
        t.expect(r"got SIGWINCH$")
        time.sleep(0.3)
        t._read(0)
        self.assertNotIn("got", t.text)

    def test_hangup(self):
        # The terminal goes away: PROGRAM and the wrapper end, and nothing keeps running.
        t = terminal.Terminal([harness.SUPERVISE, "--", "sleep", "1000"])
        self.program("sleep")
        t.close()
        self.wait(lambda: not procs.named("sleep"), "PROGRAM's end")
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(t.pid, 0)[1]), -signal.SIGHUP)
        self.wait(lambda: not procs.named(procs.SERVE), "the serving process' end")

    def test_terminal_without_a_leader_in_front(self):
        # Without job control (one process group for all), Ctrl-C reaches PROGRAM only once.
        t = terminal.Terminal(["sh", "-c", '"$0" -- "$1" -c "$2" INT', harness.SUPERVISE,
                               harness.PYTHON, CATCH])
        self.addCleanup(t.close)
        t.expect(r"^catching$")
        for _ in range(10):
            t.key("C")
            t.expect(r"got SIGINT$")
        time.sleep(0.3)
        t._read(0)
        self.assertNotIn("got", t.text)


if __name__ == "__main__":
    harness.main()
