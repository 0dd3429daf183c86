# SPDX-License-Identifier: MIT
"""Simulates older kernels and stricter policies: a system call that fails with ENOSYS or EPERM.

The call is refused to both the wrapper and PROGRAM. Whatever is missing, the wrapper either
works or ends with 125 and one line; and --check agrees with what then happens."""
import errno
import os
import signal

import harness

# Numbers from 424 on are the same on every architecture.
PIDFD_SEND_SIGNAL, IO_URING_SETUP, PIDFD_OPEN, CLONE3, CLOSE_RANGE, PIDFD_GETFD = \
    424, 425, 434, 435, 436, 438


# From the conformance suite: each kind of call, threads, processes that die, reuse.
CHECKS = ("plain", "registers", "thread", "vfork-own-stack", "zero-positions", "threads-at-once", "children-alive")

WITHOUT_PIDS = ("without-pids", "without-pids-settings", "without-pids-stacks",
                "without-pids-errors")
MMAP, AREA_SIZE = 9, 256 << 10
VFORK = 0x4100  # CLONE_VM | CLONE_VFORK


class Refused(harness.Case):
    def setUp(self):
        super().setUp()
        self.need_file("clone2-refuse", harness.REFUSE)

    def under(self, rules, *arguments):
        words = [f"{number}={error}" for number, error in rules.items()]
        return harness.run([harness.REFUSE, *words, "--", harness.SUPERVISE, *arguments])

    def works_or_says(self, rules):
        result = self.under(rules, "--", harness.CALL, "-r", "3", "7000")
        works = harness.calls(result.out) == [7000] * 3
        if not works:
            self.assertEqual(result.status, 125, result)
            self.assertEqual(result.err.strip().count("\n"), 0, result)
        check = self.under(rules, "--check")
        self.assertEqual(check.status == 0, works, f"{check}\nbut\n{result}")
        return works

    def test_io_uring(self):
        # As in Docker's and containerd's default profiles: not needed, and --check says so.
        for error in (errno.EPERM, errno.ENOSYS):
            with self.subTest(error=error):
                rules = {IO_URING_SETUP: error}
                result = self.under(rules, "-v", "--", harness.CALL, "-r", "3", "7000")
                self.assertEqual(harness.calls(result.out), [7000] * 3, result)
                self.assertIn("epoll", result.err)
                self.assertIn("epoll", self.under(rules, "--check").out)
                self.expect(self.under(rules, "--event-loop=io_uring", "--", "true"), 125,
                            err="io_uring")
                self.expect(self.under(rules, "--check", "--event-loop=io_uring"), 1,
                            out="no program can be supervised with it")

    def test_io_uring_operations(self):
        # io_uring_enter (426) is refused although io_uring_setup is allowed.
        self.assertTrue(self.works_or_says({426: errno.EPERM}))

    def test_each_pidfd_call(self):
        for number in (PIDFD_SEND_SIGNAL, PIDFD_OPEN, PIDFD_GETFD):
            with self.subTest(number=number):
                self.works_or_says({number: errno.ENOSYS})

    def test_all_pidfd_calls(self):
        self.works_or_says({PIDFD_SEND_SIGNAL: errno.ENOSYS, PIDFD_OPEN: errno.ENOSYS,
                            PIDFD_GETFD: errno.ENOSYS})

    def test_close_range(self):
        self.assertTrue(self.works_or_says({CLOSE_RANGE: errno.ENOSYS}))

    def test_clone3(self):
        # The kernel can't do it: the target's clone2 gives ENOSYS, and nothing hangs.
        result = self.under({CLONE3: errno.ENOSYS}, "--", harness.CALL, "-r", "3", "7000")
        self.assertIn(result.status, (1, 125), result)
        if result.status == 1:
            self.assertEqual(harness.calls(result.out), ["ENOSYS"] * 3, result)
        check = self.under({CLONE3: errno.ENOSYS}, "--check")
        self.assertEqual(check.status, 1, check)

    def test_without_pids_it_is_clone(self):
        """Sandboxes forbid clone3 because they can't see its arguments. Without pids it is not
        needed."""
        for error in (errno.ENOSYS, errno.EPERM):
            with self.subTest(error=error):
                refuse = [harness.REFUSE, f"{CLONE3}={error}", "--"]
                result = harness.supervise("--", *refuse, harness.CONFORMANCE, *WITHOUT_PIDS)
                self.expect(result, 0, out="4 passed, 0 failed, 0 skipped")
                # Nor does a target that has no memory for the calls' data.
                refuse.insert(1, f"{MMAP}:1@{AREA_SIZE}={errno.ENOMEM}")
                for call in ([], ["-f", str(VFORK | signal.SIGCHLD)], ["0"]):
                    result = harness.supervise("--", *refuse, harness.CALL, "-r", "3", *call)
                    self.assertEqual([type(c) for c in harness.calls(result.out)], [int] * 3,
                                     result)
                result = harness.supervise("--", *refuse, harness.CALL, "600")
                self.assertEqual(harness.calls(result.out), [errno.errorcode[error]], result)

    def serves_without(self, feature, rules, *checks):
        """--check names what is missing, calls work, and so do these checks of the suite."""
        self.assertRegex(self.under(rules, "--check").out, rf"(?m)^{feature} +no ")
        self.assertTrue(self.works_or_says(rules))
        if os.geteuid() == 0:
            result = self.under(rules, "--", harness.CONFORMANCE, *checks)
            self.expect(result, 0)

    # SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, an unknown flag before 5.19.
    NO_WAIT_KILLABLE = {"317:1&0x20": errno.EINVAL}

    def test_wait_killable(self):
        self.serves_without("wait_killable", self.NO_WAIT_KILLABLE, *CHECKS)
        result = self.under(self.NO_WAIT_KILLABLE, "-v", "--", harness.CALL, "7000")
        self.assertIn("without WAIT_KILLABLE_RECV", result.err)

    def test_sync_wake_up(self):
        # SECCOMP_IOCTL_NOTIF_SET_FLAGS, an unknown request before 6.6.
        self.serves_without("sync_wake_up", {"16:1@0x40082104": errno.EINVAL}, *CHECKS)

    def test_kcmp(self):
        # No CONFIG_KCMP.
        self.serves_without("kcmp", {312: errno.ENOSYS}, *CHECKS)

    def test_namespace_requests(self):
        # Newer requests on namespace files (6.11 and later): NS_GET_PID_FROM_PIDNS and others.
        rules = {f"16:1@{0x8004b706 + i:#x}": errno.ENOTTY for i in range(4)}
        self.assertTrue(self.works_or_says(rules))
        result = self.under(rules, "--", harness.CONFORMANCE, "zero-positions")
        self.assertIn(result.status, (0, 77), result)

    def test_all_of_61(self):
        # Everything that 6.1 lacks, at once.
        rules = {"16:1@0x40082104": errno.EINVAL, 312: errno.ENOSYS, IO_URING_SETUP: errno.ENOSYS,
                 PIDFD_GETFD: errno.ENOSYS, **self.NO_WAIT_KILLABLE}
        self.assertTrue(self.works_or_says(rules))

    def test_program_status_whatever_is_missing(self):
        for number in (IO_URING_SETUP, CLOSE_RANGE, PIDFD_SEND_SIGNAL, PIDFD_OPEN, PIDFD_GETFD):
            with self.subTest(number=number):
                result = self.under({number: errno.ENOSYS}, "--", "sh", "-c", "exit 9")
                self.assertIn(result.status, (9, 125), result)


if __name__ == "__main__":
    harness.main()
