# SPDX-License-Identifier: MIT
"""Nested pid namespaces, wrappers inside wrappers, sandboxes, both event loops."""
import os
import shutil

import harness
import procs


class PidNamespaces(harness.Case):
    def test_program_in_a_new_namespace(self):
        result = harness.supervise("--pidns", "--", "sh", "-c", "echo $$; ls -d /proc/[0-9]*; "
                                                                "cat /proc/1/comm")
        lines = result.out.split()
        self.assertNotEqual(lines[0], "1", "PROGRAM is init: it would have to reap")
        self.assertIn(f"/proc/{lines[0]}", lines)
        self.assertIn("/proc/1", lines)
        self.assertLessEqual(len(lines), 5, "an old /proc")

    def test_depths(self):
        for depth in (1, 2, 3, 8):
            with self.subTest(depth=depth):
                pids = [str(7000 + i) for i in range(depth + 1)]
                result = harness.supervise(f"--pidns={depth}", "--", harness.CALL, "-r", "2", *pids)
                self.assertEqual(harness.calls(result.out), [7000 + depth] * 2, result)

    def test_pids_in_every_namespace(self):
        # The child's NSpid, read from outside: right-aligned, as asked.
        child = self.start(harness.SUPERVISE, "--pidns=3", "--", "sh", "-c",
                           f"sleep 1000 | {harness.CALL} -H 7001 7002 7003")
        pid = self.wait(lambda: [p.pid for p in procs.named("clone2-call") if p.pid == 0 or
                                 procs.status(p.pid)["NSpid"].endswith("\t7001\t7002\t7003")],
                        "a child with these pids")[0]
        self.assertEqual(len(procs.status(pid)["NSpid"].split()), 4)
        child.terminate()

    def test_too_many_pids(self):
        pids = [str(7000 + i) for i in range(40)]
        result = harness.supervise("--pidns=3", "--", harness.CALL, *pids)
        self.assertEqual(harness.calls(result.out), ["EINVAL"], result)

    def test_deepest(self):
        # 32 levels are the kernel's limit; this test itself is at least one level down.
        result = harness.supervise("--pidns=32", "--", "true")
        self.assertEqual(result.status, 125, result)
        self.assertEqual(result.err.strip().count("\n"), 0, result)

    def test_init_of_the_namespace_ends_what_is_left(self):
        # A pid namespace ends with its init; the init stays until the last leftover process is
        # gone.
        result = harness.supervise("--pidns", "--", "sh", "-c",
                                   "sleep 1000 >/dev/null 2>&1 & echo hi")
        self.assertEqual(result.out, "hi\n")
        sleep = self.wait(lambda: procs.named("sleep"), "the leftover")[0]
        os.kill(sleep.pid, 15)
        self.wait(lambda: not procs.named(procs.SERVE), "the end of all")

    def test_clone_newpid(self):
        # With CLONE_NEWPID the new namespace comes on top, and its pid is 1.
        result = harness.supervise("--", harness.CALL, "-f", "0x20000011", "7000")
        self.assertEqual(harness.calls(result.out), [7000], result)

    def test_namespace_made_after_the_wrap(self):
        for unshare in (("-p", "-f"), ("-p", "-f", "--mount-proc"), ("-U", "-r", "-p", "-f"),
                        ("-U", "-r", "-m", "-p", "-f", "--mount-proc"), ("-m",),
                        ("-i", "-u", "-n")):
            with self.subTest(unshare=unshare):
                result = harness.supervise("--", "unshare", *unshare, harness.CALL, "-r", "3",
                                           "7000")
                self.assertEqual(harness.calls(result.out), [7000] * 3, result)

    def test_child_of_unshare_without_fork(self):
        # The pids are those of the namespace in which the child will be born.
        result = harness.supervise("--", "unshare", "-p", harness.CALL, "1")
        self.assertEqual(len(harness.calls(result.out)), 1, result)
        self.assertIn(type(harness.calls(result.out)[0]), (int,), result)


class WrapperInWrapper(harness.Case):
    def test_same_filter_chain(self):
        # One listener per filter chain: the kernel's EBUSY, explained.
        for inner in ((), ("--pidns",), ("-n", "500")):
            with self.subTest(inner=inner):
                result = harness.supervise("--pidns", "--", harness.SUPERVISE, *inner, "--", "true")
                self.expect(result, 125)
                self.assertIn("listener", result.err)
                self.assertIn("libclone2 works there", result.err)
                self.assertEqual(result.err.strip().count("\n"), 0, result)

    def test_outer_still_serves(self):
        result = harness.supervise("--", "sh", "-c", f'"{harness.SUPERVISE}" -- true; '
                                                     f'{harness.CALL} 7000')
        self.assertEqual(harness.calls(result.out), [7000], result)


class Sandboxes(harness.Case):
    def make_root(self):
        """A root directory that contains one static program and nothing else, not even /proc."""
        self.need_root()
        self.need_file("static-glibc", harness.CALL_STATIC)
        root = self.path("root")
        os.mkdir(root)
        shutil.copy(harness.CALL_STATIC, f"{root}/call")
        return root

    def test_chroot_without_proc(self):
        root = self.make_root()
        result = harness.supervise("--", "chroot", root, "/call", "-r", "3", "7000")
        self.assertEqual(harness.calls(result.out), [7000] * 3, result)

    def test_proc_is_gone(self):
        # Even in the target's mount namespace: the supervisor uses its own /proc.
        result = harness.supervise("--", "unshare", "-m", "sh", "-c", 'umount -l /proc; exec "$@"',
                                   "sh", harness.CALL, "-r", "3", "7000")
        self.assertEqual(harness.calls(result.out), [7000] * 3, result)

    def test_bubblewrap(self):
        self.need_command("bwrap")
        result = harness.supervise("--", "bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--proc",
                                   "/proc", harness.CALL, "-r", "3")
        pids = [r for r in harness.calls(result.out) if isinstance(r, int)]
        self.assertEqual(len(pids), 3, result)

    def test_not_dumpable_target(self):
        # PR_SET_DUMPABLE 0 hides /proc/PID from everyone but root.
        self.need_root()
        program = ("import ctypes, os; l = ctypes.CDLL(None, use_errno=True); l.prctl(4, 0)\n"
                   "a = (ctypes.c_uint64 * 5)(17, 0, 1, 0, 0); p = (ctypes.c_int * 1)(7000)\n"
                   "r = l.syscall(387, a, p)\n"
                   "if r == 0: os._exit(0)\n"
                   "print(r, os.waitpid(r, 0))")
        result = harness.supervise("--", harness.PYTHON, "-S", "-c", program)
        self.assertEqual(result.out, "7000 (7000, 0)\n", result)


class EventLoops(harness.Case):
    def test_each(self):
        for loop in ("io_uring", "epoll", "auto"):
            with self.subTest(loop=loop):
                if loop == "io_uring":
                    self.need("io_uring", harness.has_io_uring())
                result = harness.supervise(f"--event-loop={loop}", "-v", "--", harness.CALL, "-r",
                                           "50", "7000")
                self.assertEqual(harness.calls(result.out), [7000] * 50, result)
                if loop != "auto":
                    self.assertIn(loop, result.err)


if __name__ == "__main__":
    harness.main()
