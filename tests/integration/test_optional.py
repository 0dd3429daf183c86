# SPDX-License-Identifier: MIT
"""--optional: PROGRAM runs where nothing can be served, and one note says so."""
import errno
import os
import resource

import harness
import procs
import refused

NOTE = "PROGRAM runs, but is not served here: "
SECCOMP, CLONE3, SOCKETPAIR = (
    refused.CALLS[name] for name in ("seccomp", "clone3", "socketpair"))
IOCTL, PIDFD_OPEN = (refused.CALLS[name] for name in ("ioctl", "pidfd_open"))
NEW_LISTENER = 8
GET_NOTIF_SIZES = 3
NOTIF_ID_VALID = 0x40082102
# A bit of the size of clone3's arguments as the C library passes them. The wrapper's probes pass
# those of clone3's second version.
OF_THREADS = 8


class Optional(harness.Case):
    def expect_note(self, result, says, status=0):
        self.expect(result, status, err=NOTE)
        self.assertIn(says, result.err, result)
        self.assertEqual(result.err.count("\n"), 1, result)

    def without(self, rule, *arguments, **kw):
        """The wrapper under a filter."""
        return harness.run([harness.REFUSE, rule, "--", harness.SUPERVISE, *arguments], **kw)

    def test_in_a_served_tree(self):
        # The outer supervisor serves it.
        for options in ((), ("--pidns",), ("--log", self.path("log")), ("--stats", "-q")):
            with self.subTest(options=options):
                result = harness.supervise("--", harness.SUPERVISE, "--optional", *options, "--",
                                           harness.CALL, "-r", "3", "7000")
                self.assertEqual(harness.calls(result.out), [7000] * 3, result)
                if "-q" in options:
                    self.assertNotIn(NOTE, result.err)
                else:
                    self.expect_note(result, "libclone2 works there")

    def test_no_new_privs_only_with_a_filter(self):
        # An ordinary user's filter needs it; without the filter, sudo must still work.
        self.need_root()
        self.need_command("setpriv")
        user = ["setpriv", f"--reuid={harness.NOBODY}", f"--regid={harness.NOBODY}",
                "--clear-groups"]
        look = ["grep", "NoNewPrivs", "/proc/self/status"]
        supervise = self.public_copy(harness.SUPERVISE)
        served = harness.run([*user, supervise, "--", *look])
        self.expect(served, 0, out="NoNewPrivs:\t1\n")
        in_tree = harness.supervise("--", *user, supervise, "--optional", "--", *look)
        self.assertEqual(in_tree.out, "NoNewPrivs:\t0\n", in_tree)
        self.expect_note(in_tree, "libclone2 works there")

    def test_no_notification(self):
        rule = f"{SECCOMP}:1&{NEW_LISTENER}={errno.EINVAL}"
        self.expect(self.without(rule, "--", "true"), 125, err="no seccomp user notification")
        self.expect_note(self.without(rule, "--optional", "--", "sh", "-c", "exit 7"),
                         "no seccomp user notification", 7)
        result = self.without(rule, "--optional", "--", harness.CALL, "7000")
        self.assertEqual(harness.calls(result.out), ["ENOSYS"], result)

    def test_forbidden_by_a_filter(self):
        for name, number in (("seccomp", SECCOMP), ("clone3", CLONE3), ("socketpair", SOCKETPAIR),
                             ("event loop", refused.CALLS["epoll_create1"]),
                             ("event loop", refused.CALLS["epoll_ctl"]),
                             ("event loop", refused.CALLS["epoll_wait"])):
            for err in (errno.EPERM, errno.ENOSYS):
                with self.subTest(call=name, err=err):
                    rule = f"{number}={err}"
                    self.expect(self.without(rule, "--", "true"), 125)
                    for arguments in (("exit 7",), ("kill -9 $$",)):
                        status = 7 if arguments == ("exit 7",) else -9
                        self.expect_note(self.without(rule, "--optional", "--", "sh", "-c",
                                                      *arguments), name, status)

    def test_a_listener_that_cannot_be_served(self):
        # This must be known before PROGRAM's process has a filter, which stays.
        for rule in (f"{SECCOMP}:0@{GET_NOTIF_SIZES}={errno.EPERM}",
                     f"{IOCTL}:1@{NOTIF_ID_VALID}={errno.EPERM}"):
            with self.subTest(rule=rule):
                self.expect(self.without(rule, "--", "true"), 125)
                self.expect_note(self.without(rule, "--optional", "--", "sh", "-c", "exit 7"),
                                 "ioctl() of a listener", 7)
                self.assert_no_filter(rule)

    def assert_no_filter(self, *rules, options=()):
        """PROGRAM has the filter of these rules alone."""
        look = ["grep", "^Seccomp_filters", "/proc/self/status"]
        result = harness.run([harness.REFUSE, *rules, "--", harness.SUPERVISE, "--optional", "-q",
                              *options, "--", *look])
        bare = harness.run([harness.REFUSE, *rules, "--", *look])
        self.expect(result, 0, err="")
        self.assertEqual(result.out, bare.out, result)

    def test_serving_process_fails(self):
        # It has no threads, or is killed, when PROGRAM's process exists already.
        for rule, says in ((f"{CLONE3}:1&{OF_THREADS}={errno.EAGAIN}", "pthread_create()"),
                           (f"{PIDFD_OPEN}=kill", "the serving process was killed")):
            with self.subTest(rule=rule):
                self.expect(self.without(rule, "--", "true"), 125, err=says)
                for options in ((), ("--pidns",), ("--log", self.path("log")), ("--wait-all",),
                                ("--stats",)):
                    with self.subTest(options=options):
                        self.expect_note(self.without(rule, "--optional", *options, "--", "sh",
                                                      "-c", "exit 7"), says, 7)
                        self.assert_no_filter(rule, options=options)
                self.expect_note(self.without(rule, "--optional", "--", "sh", "-c", "kill -9 $$"),
                                 says, -9)
                result = self.without(rule, "--optional", "--", harness.CALL, "7000")
                self.assertEqual(harness.calls(result.out), ["ENOSYS"], result)

    def test_serving_process_without_threads_waits(self):
        rule = f"{CLONE3}:1&{OF_THREADS}={errno.EAGAIN}"
        result = self.without(rule, "--optional", "--wait-all", "--", "sh", "-c",
                              "(sleep 0.2; echo late) &")
        self.expect_note(result, "pthread_create()")
        self.assertEqual(result.out, "late\n", result)
        self.assertEqual(procs.named(procs.SERVE), [], result)

    def test_limits_of_processes_and_descriptors(self):
        # Threads count as processes.
        self.need_root()
        command = self.public_copy(harness.SUPERVISE)
        uid = 1_100_000_000 + os.stat("/proc/self/ns/pid").st_ino % 1_000_000 * 100
        limits = ([(resource.RLIMIT_NPROC, most, uid + most) for most in range(1, 12)] +
                  [(resource.RLIMIT_NOFILE, most, uid) for most in range(5, 32)])
        notes = {}
        for kind, most, user in limits:
            def limit():
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
                resource.setrlimit(kind, (most, most))
            with self.subTest(kind=kind, limit=most):
                result = harness.run([command, "--optional", "--", "sh", "-c", "exit 7"],
                                     preexec_fn=limit)
                self.assertEqual(result.status, 7, result)
                if result.err:
                    self.expect_note(result, "unavailable" if kind == resource.RLIMIT_NPROC
                                     else "Too many open files", 7)
                    notes.setdefault(kind, []).append(most)
        self.assertEqual(notes[resource.RLIMIT_NPROC], list(range(1, 8)))
        self.assertEqual(notes[resource.RLIMIT_NOFILE], list(range(5, 16)))

    def test_a_wrong_policy_is_no_lack(self):
        with open(self.path("policy"), "w", encoding="ascii") as file:
            file.write("{")
        result = harness.supervise("--optional", "--policy", self.path("policy"), "--", "echo", "x")
        self.expect(result, 125, err="--policy")
        self.assertEqual(result.out, "", result)

    def test_what_the_wrapper_itself_must_do(self):
        # It can't end with its parent, for example, where the wrapper can't run.
        rule = f"{SOCKETPAIR}={errno.EPERM}"
        for option in ("--pidns", "--die-with-parent", "--wait-all", "--exit-status=128"):
            with self.subTest(option=option):
                result = self.without(rule, "--optional", option, "--", "echo", "ran")
                self.expect(result, 125, err="socketpair()")
                self.assertEqual(result.out, "", result)

    def test_the_rest_works_as_ever(self):
        rule = f"{SECCOMP}={errno.EPERM}"
        self.expect(self.without(rule, "--optional", "--pidns", "--pid=7", "--", "sh", "-c",
                                 "echo $$"), out="7\n")
        result = self.without(rule, "--optional", "--wait-all", "--", "sh", "-c",
                              "(sleep 0.2; echo late) &")
        self.expect(result, out="late\n")
        self.expect(self.without(rule, "--optional", "--", "/nonexistent"), 127)
        self.assertEqual(harness.calls(harness.supervise(
            "--optional", "--", harness.CALL, "7000").out), [7000])

    def test_signals_reach_it(self):
        child = self.start(harness.REFUSE, f"{SECCOMP}={errno.EPERM}", "--", harness.SUPERVISE,
                           "--optional", "-q", "--", "sh", "-c",
                           f"trap 'exit 3' TERM; : >{self.path('ready')}; "
                           "while :; do sleep 1000 & wait; done")
        self.wait(lambda: os.path.exists(self.path("ready")), "PROGRAM")
        child.terminate()
        self.assertEqual(self.finish(child), 3)

    def test_not_with_require(self):
        self.expect(harness.supervise("--optional", "--require", "--", "true"), 125,
                    err="--optional does not go with --require")


if __name__ == "__main__":
    harness.main()
