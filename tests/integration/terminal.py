# SPDX-License-Identifier: MIT
"""A pseudo-terminal with a program on it, like a person at a keyboard, for tests of job control."""
import fcntl
import os
import re
import select
import struct
import termios
import time

import harness
import procs


class Terminal:
    """Runs argv as the leader of a new session whose controlling terminal is a new pty."""

    def __init__(self, argv, env=None):
        self.text = ""  # everything that appeared on the screen and was not yet expected
        self.master, slave = os.openpty()
        # A key that sends a signal is echoed after the signal, in the middle of the program's
        # output. Echoed as one byte instead of ^C, it can be filtered out.
        attributes = termios.tcgetattr(slave)
        attributes[3] &= ~termios.ECHOCTL
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
                for fd in (0, 1, 2):
                    os.dup2(slave, fd)
                os.closerange(3, 100)
                os.execvpe(argv[0], [str(a) for a in argv], {**os.environ, **(env or {})})
            finally:
                os._exit(99)
        os.close(slave)
        self.status = None

    def send(self, text):
        os.write(self.master, text.encode())

    def key(self, letter):
        """Ctrl-LETTER."""
        os.write(self.master, bytes([ord(letter) & 31]))

    def _read(self, seconds):
        if not select.select([self.master], [], [], seconds)[0]:
            return
        try:
            text = os.read(self.master, 65536).decode(errors="replace")
            self.text += "".join(c for c in text if c in "\n\t" or c >= " ")
        except OSError:  # EIO: the last user of the terminal is gone
            time.sleep(0.01)

    def expect(self, pattern, seconds=harness.RUN_SECONDS):
        """Waits until this appears; returns the match and drops the text up to its end."""
        deadline = time.monotonic() + seconds
        while True:
            match = re.search(pattern, self.text, re.M)
            if match:
                self.text = self.text[match.end():]
                return match
            if time.monotonic() > deadline:
                raise harness.Hang(f"not on the terminal: {pattern!r}; there is {self.text!r}")
            self._read(0.05)

    def last_status(self):
        """The status of an interactive shell's last command; waits for the command's end."""
        self.send("echo status=$?\n")
        return int(self.expect(r"status=(\d+)").group(1))

    def foreground(self):
        """The terminal's foreground process group."""
        return struct.unpack("i", fcntl.ioctl(self.master, termios.TIOCGPGRP, b"\0" * 4))[0]

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def finish(self, seconds=harness.RUN_SECONDS):
        """Waits for the end of the session's leader; returns its status as subprocess reports
        it."""
        def ended():
            self._read(0)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            return pid
        if not procs.wait_for(ended, seconds):
            raise harness.Hang(f"the terminal's program does not end; screen {self.text!r}")
        return self.status

    def close(self):
        os.close(self.master)


def shell(case):
    """An interactive bash, at its prompt."""
    terminal = Terminal(["bash", "--norc", "--noprofile", "--noediting", "-i"],
                        {"PS1": "READY$ ", "TERM": "dumb", "HISTFILE": "", "S": harness.SUPERVISE,
                         "CALL": harness.CALL, "PY": harness.PYTHON})
    case.addCleanup(terminal.close)
    terminal.expect(r"READY\$ ")
    return terminal


class Case(harness.Case):
    """A case with programs on a terminal."""

    def in_front(self, t, comm):
        self.wait(lambda: [p for p in procs.named(comm) if p.pgrp == t.foreground()],
                  f"{comm} in the foreground")

    def program(self, comm):
        """Waits for a live process of this name and returns it."""
        return self.wait(lambda: procs.named(comm), f"a process {comm}")[0]

    def stopped(self, comm):
        """Waits until this process and its whole job (process group) have stopped. The job's reaper
        does not stop."""
        def all_stopped():
            return [p for p in procs.named(comm) if all(
                q.state in "TZX" for q in procs.everything()
                if q.pgrp == p.pgrp and q.comm != procs.REAP)]
        return self.wait(all_stopped, f"{comm} to stop")[0]
