# SPDX-License-Identifier: MIT
"""--dump-slots PID: what a target holds of the supervisor's, while it runs."""
import os
import re
import signal
import subprocess

import harness
import procs
import tracing
from session import Session, server

VFORK = "0x4111"  # CLONE_VM | CLONE_VFORK | SIGCHLD
PWRITE64 = 18     # x86-64


class Dump(harness.Case):
    def dump(self, pid, status=0, command=harness.SUPERVISE, prefix=()):
        result = harness.run([*prefix, command, "--dump-slots", pid], cwd="/")
        return self.expect(result, status)

    def calling(self, *arguments, command=()):
        """A supervised clone2-call whose child 7000 stays; the pid of its parent."""
        child = subprocess.Popen([*command, harness.SUPERVISE, "--", harness.CALL, "-H", *arguments,
                                  "7000"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.addCleanup(child.stdin.close)
        self.wait(lambda: len(procs.named("clone2-call")) == 2, "a child")
        pids = [p.pid for p in procs.named("clone2-call")]
        return next(p.ppid for p in procs.named("clone2-call") if p.ppid in pids)

    def test_a_call_in_progress(self):
        pid = self.calling("-f", VFORK)
        self.wait(lambda: ", used by the caller;" in self.dump(pid).out, "the child to leave")
        result = self.dump(pid)
        self.assertEqual(result.err, "")
        self.assertRegex(result.out, rf'\Aprocess {pid} "clone2-call"\n'
                         r"code: 0x[0-9a-f]+, \d+ bytes, \w+; signature 0x[0-9a-f]+, known\n"
                         r"area: 0x[0-9a-f]+, 256 KiB; header: signature known, of this code\n"
                         r"slots: 1 of \d+ in use\n")
        self.assertRegex(result.out, rf'\n  \d+ at 0x[0-9a-f]+: thread {pid} "clone2-call" '
                         r"\(alive, in system call 435\), used by the caller; "
                         r"clone3\(CLONE_VM\|CLONE_VFORK\|SIGCHLD[^)]*, set_tid \{7000\}\) "
                         r"for system call 387 from 0x[0-9a-f]+, received \d+ ms ago\n")
        self.assertRegex(result.out, r"\nboot slots: 0 of \d+ in use\nspare slots: 0 of \d+ in use")

    def test_no_call_in_progress(self):
        pid = self.calling()
        # The child may run before its parent has left the slot.
        self.wait(lambda: re.search(r"\nslots: 0 of \d+ in use\n", self.dump(pid).out),
                  "no slot in use")

    def test_a_boot_in_progress(self):
        session = Session(self)
        self.assertEqual(session.call("7000"), [7000])  # it serves, with all its threads
        # What a boot report is answered with, after the code's four parts and the boot slot.
        held = tracing.Before(server(self), PWRITE64, after=5)
        call = session.start_calls("7000")
        self.wait(held.reached, "the answer to the boot report")
        result = self.dump(call.pid)
        held.let_go()
        self.assertIn("\narea: none so far", result.out)
        self.assertRegex(result.out, rf'\nboot slots: 1 of \d+ in use\n  0 at 0x[0-9a-f]+: thread '
                         rf'{call.pid} "clone2-call" \(alive, reports\); system call 387 from 0x')
        self.assertEqual(session.end(), 0)

    def test_another_version(self):
        # A signature depends on the pid namespace, as it does on the version.
        self.need_root()
        pid = self.calling(command=["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"])
        result = self.dump(pid)
        self.assertIn("of another version, or of a supervisor in another pid namespace", result.out)
        self.assertNotIn("in use", result.out)

    def refused(self, pid, says, **kw):
        result = self.dump(pid, 125, **kw)
        self.assertEqual(result.out, "")
        self.assertRegex(result.err, rf"\Aclone2-supervise: --dump-slots: {says}.*\n\Z")

    def test_no_such_process(self):
        self.refused(4190000, "no process 4190000")

    def test_no_area(self):
        pid = self.start("sleep", "1000").pid
        self.refused(pid, f"process {pid} has no area")

    def test_not_permitted(self):
        self.need_root()
        pid = self.start("sleep", "1000").pid
        self.refused(pid, f"process {pid}: not permitted",
                     command=self.public_copy(harness.SUPERVISE),
                     prefix=["setpriv", f"--reuid={harness.NOBODY}", "--clear-groups"])

    def test_not_a_pid(self):
        for word in ("0", "-1", "x", "", "99999999999"):
            with self.subTest(word=word):
                result = harness.supervise(f"--dump-slots={word}")
                self.expect(result, 125, err="is not a process id")

    def test_the_process_is_not_stopped(self):
        session = Session(self)
        call = session.start_calls("-r 0 7000")
        for _ in range(20):
            call.advance(self, 5)
            self.assertIn("slots: ", self.dump(call.pid).out)
        os.kill(call.pid, signal.SIGKILL)
        session.end()


if __name__ == "__main__":
    harness.main()
