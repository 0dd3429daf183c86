# SPDX-License-Identifier: MIT
"""PROGRAM's resource usage is the command's, as time(1) and wait4(2) see it."""
import os
import signal

import harness

SECONDS = 0.2  # more than all of the wrapper's own processes use together
MIB = 200
BURN = f"""
import os, resource, sys
data = b"x" * ({MIB} << 20)
while resource.getrusage(resource.RUSAGE_SELF).ru_utime < {SECONDS}: pass
while resource.getrusage(resource.RUSAGE_SELF).ru_stime < {SECONDS}: os.stat("/")
"""


class Accounting(harness.Case):
    def usage(self, *options, before="", end="", status=0):
        """What wait4 reports of a wrapper whose PROGRAM does `before`, burns time and memory, and
        does `end`."""
        child = os.fork()
        if child == 0:
            os.execv(harness.SUPERVISE, [harness.SUPERVISE, *options, "--", harness.PYTHON, "-S",
                                         "-c", "import os, sys\n" + before + BURN + end])
        _, wait_status, usage = os.wait4(child, 0)
        self.assertEqual(os.waitstatus_to_exitcode(wait_status), status)
        return usage

    def arrives(self, *options, **kw):
        usage = self.usage(*options, **kw)
        self.assertGreaterEqual(usage.ru_utime, SECONDS)
        self.assertGreaterEqual(usage.ru_stime, SECONDS)
        self.assertGreaterEqual(usage.ru_maxrss, MIB << 10)

    def test_program(self):
        self.arrives()

    def test_with_statistics(self):
        self.arrives("--stats", "--log", self.path("log"))

    def test_killed(self):
        self.arrives(end="os.kill(os.getpid(), 9)", status=-signal.SIGKILL)

    def test_descendants(self):
        # Of those that have been waited for, as with any other program.
        self.arrives(before="if os.fork():\n os.wait(); sys.exit(3)", status=3)

    def test_in_pid_namespaces(self):
        self.arrives("--pidns")
        self.arrives("--pidns=3")

    def test_wait_all(self):
        # Its parent does not wait for it; the wrapper does.
        child = os.fork()
        if child == 0:
            os.execv(harness.SUPERVISE, [harness.SUPERVISE, "--wait-all", "--", "sh", "-c",
                                         '"$@" & exit 4', "sh", harness.PYTHON, "-S", "-c", BURN])
        _, wait_status, usage = os.wait4(child, 0)
        self.assertEqual(os.waitstatus_to_exitcode(wait_status), 4)
        self.assertGreaterEqual(usage.ru_utime, SECONDS)
        self.assertGreaterEqual(usage.ru_maxrss, MIB << 10)


if __name__ == "__main__":
    harness.main()
