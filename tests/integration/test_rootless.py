# SPDX-License-Identifier: MIT
"""Without privilege, and across changes of it: nobody, user namespaces, set-user-ID."""
import os
import shutil
import subprocess

import harness

AS_NOBODY = ("setpriv", f"--reuid={harness.NOBODY}", f"--regid={harness.NOBODY}", "--clear-groups")


class Rootless(harness.Case):
    def setUp(self):
        super().setUp()
        if os.geteuid() == 0:
            self.need_command("setpriv")
            self.prefix = AS_NOBODY
        else:
            self.prefix = ()
        self.wrapper, self.call = map(self.public_copy, (harness.SUPERVISE, harness.CALL))

    def supervise(self, *arguments, **kw):
        return harness.run([*self.prefix, self.wrapper, *arguments], cwd="/", **kw)

    def need_user_namespaces(self):
        probe = subprocess.run([*self.prefix, "unshare", "-U", "true"], capture_output=True,
                               text=True)
        self.need("userns", probe.returncode == 0, probe.stderr.strip())

    def test_plain_clone_needs_no_privilege(self):
        results = harness.calls(self.supervise("--", self.call, "-r", "3").out)
        self.assertEqual([type(r) for r in results], [int] * 3, results)

    def test_chosen_pid_is_refused(self):
        for pids in (["7000"], ["0"]):
            result = self.supervise("--", self.call, *pids)
            self.assertEqual(harness.calls(result.out), ["EPERM"], result)

    def test_no_new_privs_only_without_privilege(self):
        self.assertIn("NoNewPrivs:\t1", self.supervise("--", "cat", "/proc/self/status").out)
        if harness.is_root():
            self.assertIn("NoNewPrivs:\t0", harness.supervise("--", "cat", "/proc/self/status").out)

    def test_pidns_gives_chosen_pids(self):
        self.need_user_namespaces()
        for options in (("--pidns",), ("--pidns=2",), ("--pidns", "--event-loop=epoll")):
            with self.subTest(options=options):
                result = self.supervise(*options, "--", self.call, "-r", "3", "7000")
                self.assertEqual(harness.calls(result.out), [7000] * 3, result)
                self.assertEqual(result.status, 0)

    def test_pidns_chosen_pids_of_two_levels(self):
        self.need_user_namespaces()
        result = self.supervise("--pidns=2", "--", self.call, "-r", "2", "7000", "7001")
        self.assertEqual(harness.calls(result.out), [7001] * 2, result)

    def test_pidns_not_beyond_its_own_namespaces(self):
        # Another user owns the namespace above: EPERM, and no pid is chosen there.
        self.need_user_namespaces()
        result = self.supervise("--pidns", "--", self.call, "7000", "7001")
        self.assertEqual(harness.calls(result.out), ["EPERM"], result)

    def test_pidns_is_root_inside(self):
        self.need_user_namespaces()
        result = self.supervise("--pidns", "--", "sh", "-c",
                                "id -u; id -g; cat /proc/self/uid_map; echo $$; ls /proc")
        lines = result.out.split("\n")
        self.assertEqual(lines[:2], ["0", "0"], result)
        self.assertEqual(lines[2].split(), ["0", str(harness.NOBODY if os.geteuid() == 0
                                                     else os.geteuid()), "1"])
        self.assertIn(lines[3], lines[4:])
        self.assertLessEqual(len([w for w in lines[4:] if w.isdigit()]), 4, "an old /proc")

    def test_pidns_status_and_signals(self):
        self.need_user_namespaces()
        self.assertEqual(self.supervise("--pidns", "--", "sh", "-c", "exit 77").status, 77)
        self.assertEqual(self.supervise("--pidns", "--", "sh", "-c", "kill -9 $$").status, -9)

    def test_pidns_orphans_are_reaped(self):
        self.need_user_namespaces()
        result = self.supervise("--pidns", "--", "sh", "-c",
                                "orphan=$(sleep 0 >/dev/null & echo $!); "
                                "while [ -e /proc/$orphan ]; do sleep 0.1; done; "
                                "echo reaped $orphan")
        self.assertRegex(result.out, r"\Areaped \d+\n\Z", result)

    def test_group_and_setgroups(self):
        # The kernel's rule for unprivileged gid maps: setgroups is denied.
        self.need_user_namespaces()
        result = self.supervise("--pidns", "--", "cat", "/proc/self/setgroups")
        self.assertEqual(result.out.strip(), "deny", result)

    def test_user_namespaces_exhausted(self):
        # A limit of this test's own user namespace; without capabilities one more namespace is
        # needed.
        self.need_user_namespaces()
        script = 'echo 0 > /proc/sys/user/max_user_namespaces && ' \
                 'exec setpriv --bounding-set=-all --inh-caps=-all "$@"'
        result = harness.run(["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh",
                              harness.SUPERVISE, "--pidns", "--", "true"])
        self.expect(result, 125)
        self.assertEqual(result.err.strip().count("\n"), 0, result)


class SetUserId(harness.Case):
    """A wrapper started by root serves set-user-ID programs, too, because it does not set
    no_new_privs."""

    def setUp(self):
        super().setUp()
        self.need_root()
        self.need_command("setpriv")
        flags = os.statvfs(self.tmp).f_flag
        self.need("suid-file-system", not flags & os.ST_NOSUID, f"{self.tmp} is mounted nosuid")
        self.call = self.public_copy(harness.CALL)
        self.suid = self.path("suid-call")
        shutil.copy(harness.CALL, self.suid)
        os.chmod(self.suid, 0o4755)

    def test_set_user_id_program(self):
        result = harness.supervise("--", *AS_NOBODY, self.suid, "-u", "-r", "3", "7000")
        self.assertIn(f"ids {harness.NOBODY} 0\n", result.out, result)
        self.assertEqual(harness.calls(result.out), [7000] * 3, result)

    def test_plain_program_of_the_same_user(self):
        result = harness.supervise("--", *AS_NOBODY, self.call, "-u", "-r", "3", "7000")
        self.assertIn(f"ids {harness.NOBODY} {harness.NOBODY}\n", result.out, result)
        self.assertEqual(harness.calls(result.out), ["EPERM"] * 3, result)
        result = harness.supervise("--", *AS_NOBODY, self.call, "-r", "3")
        self.assertEqual(len([r for r in harness.calls(result.out) if isinstance(r, int)]), 3)

    def test_rootless_wrapper_cannot_raise(self):
        # There the filter needs no_new_privs; that is the documented price.
        wrapper = self.public_copy(harness.SUPERVISE)
        result = harness.run([*AS_NOBODY, wrapper, "--", self.suid, "-u"], cwd="/")
        self.assertIn(f"ids {harness.NOBODY} {harness.NOBODY}\n", result.out, result)

    def test_capability_instead_of_root(self):
        # CAP_CHECKPOINT_RESTORE is enough for chosen pids.
        for capability in ("checkpoint_restore", "sys_admin"):
            with self.subTest(capability=capability):
                keep = f"-all,+{capability}"
                result = harness.supervise("--", "setpriv", f"--reuid={harness.NOBODY}",
                                           "--clear-groups", f"--inh-caps={keep}",
                                           f"--ambient-caps={keep}", self.call, "7000")
                self.assertEqual(harness.calls(result.out), [7000], result)

    def test_program_that_gives_up_root(self):
        result = harness.supervise("--", "sh", "-c", '"$0" 7000; shift; exec "$@" "$0" 7000',
                                   self.call, "x", *AS_NOBODY)
        self.assertEqual(harness.calls(result.out), [7000, "EPERM"], result)


if __name__ == "__main__":
    harness.main()
