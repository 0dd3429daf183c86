# SPDX-License-Identifier: MIT
"""Many threads make the first call of a program at once. The code is placed once, and all of them
are served."""
import os
import signal
import subprocess

import harness
import procs
import session
import tracing

FIRST_CALLS = harness._path("CLONE2_FIRST_CALLS", "tests/integration/clone2-first-calls")
NR = "387"


class Threads(harness.Case):
    def served(self, count):
        """All wait in the call before the first of them is received."""
        child = subprocess.Popen([harness.SUPERVISE, "--", FIRST_CALLS, str(count)],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.assertEqual(child.stdout.readline(), "ready\n")
        target = procs.named(os.path.basename(FIRST_CALLS)[:15])[0].pid
        server = session.server(self)
        os.kill(server, signal.SIGSTOP)
        self.wait(lambda: procs.has_stopped(server), "the stop")
        child.stdin.write("\n")
        child.stdin.flush()
        self.wait(lambda: sum(tracing.system_call(target, tid) == NR
                              for tid in tracing.tasks(target)) == count, "all to call")
        os.kill(server, signal.SIGCONT)
        out, _ = child.communicate()
        self.assertEqual((out, child.returncode), (f"served {count}\n", 0))

    def test_more_than_are_booted_at_once(self):
        self.served(40)

    def test_more_than_may_be_in_progress(self):
        self.served(700)


if __name__ == "__main__":
    harness.main()
