# SPDX-License-Identifier: MIT
"""A wrapper whose PROGRAM is a shell fed by the test: targets come and go under one supervisor."""
import subprocess

import harness
import procs


class Session:
    def __init__(self, case, *options):
        self.case = case
        self.child = subprocess.Popen([harness.SUPERVISE, *options, "--", "sh"], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=open(case.path("session.err"), "w"))
        case.addCleanup(self._close)
        self.count = 0

    def _close(self):
        for stream in (self.child.stdin, self.child.stdout):
            try:
                stream.close()
            except BrokenPipeError:
                pass

    def do(self, command):
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()

    def ask(self, command):
        """Runs a command whose output is one line."""
        self.do(command)
        return self.child.stdout.readline().strip()

    def start_calls(self, arguments, prefix=""):
        """Starts a clone2-call in the background; returns it with its pid and its counters."""
        self.count += 1
        file = self.case.path(f"progress{self.count}")
        # The shell expands this before exec: a background command keeps its pid.
        pid = self.ask(f"{prefix} {harness.CALL} -q -o {file} {arguments} "
                       f"</dev/null >/dev/null 2>&1 & echo $!")
        return Calls(int(pid), file)

    def call(self, arguments="", seconds=harness.RUN_SECONDS):
        """Runs a clone2-call to its end; returns the list of its results."""
        self.count += 1
        out = f"out{self.count}"
        self.do(f"{harness.CALL} {arguments} </dev/null >{self.case.path(out)} 2>&1; "
                f"echo end >{self.case.path(out)}.end")
        self.case.wait(lambda: self.case.read(out + ".end") == "end\n",
                       f"the end of clone2-call {arguments}", seconds)
        return harness.calls(self.case.read(out))

    def end(self):
        """Ends the shell; returns the wrapper's status."""
        self.child.stdin.close()
        return self.case.finish(self.child)


class Calls:
    """A running clone2-call."""

    def __init__(self, pid, file):
        self.pid, self.file = pid, file

    def counters(self):
        """Calls, failures and ENOSYS so far."""
        return harness.counters(self.file) or (0, 0, 0)

    def advance(self, case, by=20):
        """Waits until it has made this many more calls."""
        goal = self.counters()[0] + by
        while (made := self.counters()[0]) < goal and procs.alive(self.pid):
            case.wait(lambda: self.counters()[0] > made or not procs.alive(self.pid),
                      f"call {made + 1} of {self.pid}")
        case.assertGreaterEqual(self.counters()[0], goal, f"{self.pid} ended early")


def server(case):
    """The one serving process."""
    case.wait(lambda: procs.named(procs.SERVE), "a serving process")
    found = procs.named(procs.SERVE)
    case.assertEqual(len(found), 1, procs.table())
    return found[0].pid
