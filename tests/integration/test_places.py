# SPDX-License-Identifier: MIT
"""Programs in which the usual places for the supervisor's code are unusable: a vdso that is not
executable, a copy of it kept as data, a shared mapping, system calls that are dispatched.

A call there succeeds through another place or is refused; it never ends the program."""
import errno
import os

import harness

PLACES = harness._path("CLONE2_PLACES", "tests/integration/clone2-places")
CHEAP_QUERY = (6, 11)   # the kernel can answer for one mapping (PROCMAP_QUERY)
DISPATCH_CONFIG = (6, 4)   # PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG


def kernel():
    return tuple(int(part) for part in os.uname().release.split(".")[:2])


# As on older kernels, in clone2-refuse's syntax.
NO_MAPPING_QUERY = f"16:1@0xc0686611={errno.ENOTTY}"
NO_WAIT_KILLABLE = f"317:1&0x20={errno.EINVAL}"


class Case(harness.Case):
    def steps(self, *steps, without=None):
        """The results of the calls; any other output of the program is a failure."""
        command = [harness.SUPERVISE, "--log", self.path("log"), "--", PLACES, *steps]
        if without:
            command = [harness.REFUSE, without, "--", *command]
        with open(self.path("log"), "w"):
            pass
        result = harness.run(command)
        self.assertEqual(result.status, 0, result)
        self.assertTrue(all(line.startswith(("pid ", "errno "))
                            for line in result.out.splitlines()), result)
        found = harness.calls(result.out)
        self.assertEqual(len(found), steps.count("call"), result)
        return [value if isinstance(value, str) else "pid" for value in found]


class Places(Case):
    def test_the_usual_program(self):
        self.assertEqual(self.steps("call", "call"), ["pid"] * 2)

    def test_other_place(self):
        # If the vdso can't be used, the end of the text is.
        for step in ("noexec", "data", "shared"):
            with self.subTest(step):
                self.assertEqual(self.steps(step, "call", "call"), ["pid"] * 2)

    def test_without_the_query(self):
        self.assertEqual(self.steps("data", "call", "call", without=NO_MAPPING_QUERY),
                         ["pid"] * 2)
        self.assertEqual(self.steps("full", "noexec", "call", without=NO_MAPPING_QUERY),
                         ["ENOSYS"])

    def test_no_other_place(self):
        for step in ("noexec", "data", "shared"):
            with self.subTest(step):
                self.assertEqual(self.steps("full", step, "call", "call"), ["ENOSYS"] * 2)
                self.assertIn("no room for the trampoline", self.read("log"))

    def test_after_the_first_call(self):
        self.need("cheap mapping query", kernel() >= CHEAP_QUERY, "6.11")
        self.assertEqual(self.steps("call", "noexec", "call", "call"), ["pid"] * 3)
        self.assertEqual(self.steps("full", "call", "noexec", "call"), ["pid", "ENOSYS"])


class Dispatch(Case):
    """Syscall user dispatch. An emulator's handler must not receive the supervisor's own calls."""

    def setUp(self):
        super().setUp()
        self.need("dispatch configuration", kernel() >= DISPATCH_CONFIG, "6.4")

    def test_dispatched(self):
        for step in ("dispatch", "dispatch-block"):
            with self.subTest(step):
                self.assertEqual(self.steps("call", step, "call", "call"),
                                 ["pid", "ENOSYS", "ENOSYS"])
                self.assertEqual(self.read("log").count("syscall user dispatch"), 2)

    def test_without_wait_killable(self):
        self.assertEqual(self.steps("call", "dispatch", "call", without=NO_WAIT_KILLABLE),
                         ["pid", "ENOSYS"])

    def test_first_call(self):
        self.assertEqual(self.steps("dispatch", "call"), ["ENOSYS"])

    def test_allowed_through(self):
        self.assertEqual(self.steps("dispatch-allow", "call", "call"), ["pid"] * 2)


if __name__ == "__main__":
    harness.main()
