# SPDX-License-Identifier: MIT
"""--optional: PROGRAM runs where nothing can be served, and one note says so."""
import errno
import os

import harness
import refused

NOTE = "PROGRAM runs, but is not served here: "
SECCOMP, CLONE3, SOCKETPAIR = (
    refused.CALLS[name] for name in ("seccomp", "clone3", "socketpair"))
NEW_LISTENER = 8


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
