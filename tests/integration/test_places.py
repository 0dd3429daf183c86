# SPDX-License-Identifier: MIT
"""Programs in which the places for the supervisor's code are not what they seem: a vdso that is not
executable, an image of it kept as data, a shared mapping, system calls that are dispatched.

A call there succeeds by another place, or is refused; it never ends the program."""
import os

import harness

PLACES = harness._path("CLONE2_PLACES", "tests/integration/clone2-places")
CHEAP_QUERY = (6, 11)   # the kernel answers for one mapping (PROCMAP_QUERY)


def kernel():
    return tuple(int(part) for part in os.uname().release.split(".")[:2])


class Case(harness.Case):
    def steps(self, *steps):
        """The results of the calls; whatever else the program printed is a failure."""
        self.log = self.path("log")
        result = harness.supervise("--log", self.log, "--", PLACES, *steps)
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
        # The text's tail serves where the vdso can't.
        for step in ("noexec", "data", "shared"):
            with self.subTest(step):
                self.assertEqual(self.steps(step, "call", "call"), ["pid"] * 2)

    def test_no_other_place(self):
        for step in ("noexec", "data", "shared"):
            with self.subTest(step):
                self.assertEqual(self.steps("full", step, "call", "call"), ["ENOSYS"] * 2)
                self.assertIn("no room for the trampoline", self.read("log"))

    def test_after_the_first_call(self):
        self.need("cheap mapping query", kernel() >= CHEAP_QUERY, "6.11")
        self.assertEqual(self.steps("call", "noexec", "call", "call"), ["pid"] * 3)
        self.assertEqual(self.steps("full", "call", "noexec", "call"), ["pid", "ENOSYS"])


if __name__ == "__main__":
    harness.main()
