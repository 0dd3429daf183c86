# SPDX-License-Identifier: MIT
"""Who makes the calls: --provider, on kernels with and without clone2.
CLONE2_NATIVE=yes: this kernel has it."""
import os

import harness


def kernel_has_clone2():
    return harness.supervise("--check", "native").status == 0


class Provider(harness.Case):
    def test_native_is_recognised(self):
        if os.environ.get("CLONE2_NATIVE") == "yes":
            self.assertTrue(kernel_has_clone2())
        else:
            self.expect(harness.supervise("--check", "native"), 1, out="native")

    def test_agent_with_another_number(self):
        # The agent's peers have their own numbers: 387 can't be passed on, 500 can if the kernel
        # has clone2.
        agent = self.start(harness.SUPERVISE, "--listen", self.path("socket"), "-n", "500")
        self.wait(lambda: harness.accepts(self.path("socket")), "the agent")
        for nr in ("387", "500"):
            result = harness.run([harness.SHIM, "--socket", self.path("socket"), "--nr", nr, "--",
                                  harness.CALL, "-n", nr, "7000"])
            self.assertEqual(harness.calls(result.out), [7000], result)
        agent.terminate()
        self.assertEqual(self.finish(agent), 0)

    def test_supervisor(self):
        # Even if the kernel could do it.
        result = harness.supervise("--provider=supervisor", "--log", "-", "--", harness.CALL, "-r",
                                   "3", "7000")
        self.assertEqual(harness.calls(result.out), [7000] * 3, result)
        self.assertEqual(result.err.count("= 7000"), 3, result)

    def test_kernel(self):
        if kernel_has_clone2():
            return self.with_clone2()
        self.expect(harness.supervise("--provider=kernel", "--", "echo", "ran"), 125,
                    err="no clone2")
        result = harness.supervise("-v", "--", harness.CALL, "7000")
        self.assertEqual(harness.calls(result.out), [7000], result)
        self.assertIn("serving with", result.err)
        return None

    def with_clone2(self):
        """Number 387 is left alone and its calls are not reported; the wrapper works as ever."""
        for options in ((), ("--provider=kernel",)):
            with self.subTest(options=options):
                result = harness.supervise("-v", *options, "--", harness.CALL, "7000")
                self.assertEqual(harness.calls(result.out), [7000], result)
                self.assertIn("left to the kernel", result.err)
                self.expect(harness.supervise(*options, "--", "sh", "-c", "exit 9"), 9)
                self.expect(harness.supervise(*options, "--wait-all", "--", "sh", "-c",
                                              "(sleep 0.3; echo late) & exit 8"), 8, out="late")
                self.expect(harness.supervise(*options, "--log", "-", "--", "true"), 0,
                            err="do not see")
        for options in ((), ("--provider=kernel",)):
            with self.subTest(options=options, nr=500):
                result = harness.supervise("-n", "500", "--log", "-", "--stats", *options, "--",
                                           harness.CALL, "-n", "500", "-r", "3", "7000")
                self.assertEqual(harness.calls(result.out), [7000] * 3, result)
                self.assertEqual(result.err.count("passed to the kernel's own clone2"), 3, result)
                self.assertIn("passed to the kernel: 3", result.err)
        for nr, passed in (("387", 0), ("500", 1)):
            with self.subTest(several=nr):
                result = harness.supervise("-n", "387,500", "--log", "-", "--", harness.CALL, "-n",
                                           nr, "7000")
                self.assertEqual(harness.calls(result.out), [7000], result)
                self.assertEqual(result.err.count("passed to the kernel's own clone2"), passed)


if __name__ == "__main__":
    harness.main()
