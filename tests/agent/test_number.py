# SPDX-License-Identifier: MIT
"""A sandbox's filter that refuses clone2's number is noticed at the start, by one call that nobody
else sees."""
import os
import signal

import agents
import harness
from agents import SHIM, Agent

REFUSED = "is refused by another filter, with "


class Wrapper(harness.Case):
    def start(self, rules, *options, program=("echo", "ran"), **kw):
        return harness.run([*harness.refusing(*rules), harness.SUPERVISE, *options, "--", *program], **kw)

    def test_warns(self):
        for how, name in (("1", "EPERM"), ("38", "ENOSYS"), ("kill", "SIGSYS")):
            with self.subTest(how=how):
                result = self.start([f"387={how}"])
                self.expect(result, 0, out="ran\n", err="system call 387 " + REFUSED + name)
                self.assertEqual(result.err.count("\n"), 1, result)

    def test_require(self):
        for options in (["--require"], ["--require", "-q"], ["--require", "--pidns"]):
            with self.subTest(options=options):
                result = self.start(["387=38"], *options)
                self.expect(result, 125, err="system call 387 " + REFUSED + "ENOSYS")
                self.assertEqual(result.out, "")
        self.expect(self.start(["500=1"], "--require"), 0, out="ran\n")
        self.expect(harness.supervise("--require", "--", "true"), 0)

    def test_quiet(self):
        result = self.start(["387=1"], "-q")
        self.expect(result, 0)
        self.assertEqual(result.err, "")

    def test_another_number_only_where_it_helps(self):
        # A profile that lists what it refuses, and one that refuses what it does not know.
        self.expect(self.start(["387=1"]), err="(or --nr another one: 388 is not refused)")
        self.expect(self.start(["387=1", "388=1"]), err="386 is not refused")
        result = self.expect(self.start(["387=1", "388=1", "386=1"]), err=REFUSED)
        self.assertNotIn("--nr", result.err)
        check = harness.run([*harness.refusing("387=1", "388=1", "386=1"), harness.SUPERVISE,
                             "--check=number"])
        self.expect(check, 1, out=REFUSED)
        self.assertNotIn("--nr", check.out)

    def test_each_number(self):
        result = self.start(["387=1", "300=1"], "-n", "387,388,300=eclone")
        self.expect(result, err="system call 387 " + REFUSED)
        self.assertIn("system call 300 " + REFUSED, result.err)
        self.assertNotIn("call 388 " + REFUSED, result.err)
        self.assertEqual(result.err.count("PROGRAM has clone2 only by other numbers: "), 2, result)
        result = self.start(["387=1", "300=1"], "-n", "387,300=eclone")
        self.assertEqual(result.err.count("no clone2 for PROGRAM: "), 2, result)
        result = self.start(["500=1"], "-n", "300=eclone")
        self.assertEqual(result.err, "")

    def test_no_call_of_ours_is_counted(self):
        for refuse in ("387=1", "500=1"):
            with self.subTest(refuse=refuse):
                log = self.path(refuse)
                result = self.start([refuse], "--stats", "--log", log, program=["true"])
                self.expect(result, err="clone2 calls: 0\n")
                self.assertEqual(self.read(refuse), "")

    def test_the_signal_state_does_not_matter(self):
        result = self.start(["387=1"], preexec_fn=lambda: signal.signal(signal.SIGCHLD,
                                                                        signal.SIG_IGN))
        self.expect(result, 0, out="ran\n", err=REFUSED)


class Shim(harness.Case):
    NOTICE = "a stricter filter of this sandbox refuses clone2's number: "
    REPORT = "a stricter filter of its sandbox refuses clone2's number: "

    def shim(self, agent, rules, *options, program=("echo", "ran")):
        return harness.run([*harness.refusing(*rules), SHIM, *options, "--socket", agent.path, "--",
                            *program])

    def test_warns_and_the_agent_says_who(self):
        for number, (how, text) in enumerate((("1", "387 with EPERM"),
                                              ("38", "387 with ENOSYS"),
                                              ("kill", "387 with SIGSYS"))):
            with self.subTest(how=how):
                agent = Agent(self, "--stats", name=f"agent{number}")
                result = self.shim(agent, [f"387={how}"])
                self.expect(result, 0, out="ran\n", err=self.NOTICE + text)
                agent.says(self.REPORT + text)
                self.assertRegex(agent.err(), rf"clone2-shim (\d+) \(uid 0, pid \1 there\): {self.REPORT}")
                self.assertEqual(agent.end(), 0)
                self.assertIn("clone2 calls: 0\n", agent.err())

    def test_require(self):
        agent = Agent(self)
        result = self.shim(agent, ["387=38"], "--require")
        self.expect(result, 125, err=self.NOTICE)
        self.assertEqual(result.out, "")
        agent.says(self.REPORT)
        self.expect(self.shim(agent, ["500=38"], "--require"), 0, out="ran\n")

    def test_each_number(self):
        agent = Agent(self)
        result = self.shim(agent, ["387=1", "402=kill"], "-n", "387,400,401,402")
        self.expect(result, 0, out="ran\n", err=self.NOTICE + "387 with EPERM, 402 with SIGSYS (")
        agent.says(self.REPORT + "387 with EPERM, 402 with SIGSYS\n")

    def test_nothing_is_said_where_it_is_served(self):
        agent = Agent(self, "--stats", "--log", self.path("log"))
        result = self.shim(agent, ["500=1"], program=[harness.CALL, "7000"])
        self.expect(result, 0, out="pid 7000")
        self.assertEqual(result.err, "")
        self.assertEqual(agent.end(), 0)
        self.assertIn("clone2 calls: 1\n", agent.err())
        self.assertEqual(self.read("log").count("\n"), 1)

    def test_program_notices_nothing(self):
        # No child to wait for, no pending signal, no descriptor.
        agent = Agent(self)
        program = "import os, signal\n" \
                  "try: os.wait(); print('a child')\n" \
                  "except ChildProcessError: pass\n" \
                  "print(signal.sigpending(), sorted(os.listdir('/proc/self/fd')))"
        child = [harness.PYTHON, "-S", "-c", program]
        blocked = ["env", "--block-signal=CHLD"]
        plain = harness.run([*blocked, *child])
        for refuse in ("387=1", "387=kill", "500=1"):
            with self.subTest(refuse=refuse):
                result = harness.run([*harness.refusing(refuse), *blocked, SHIM, "--socket", agent.path, "--",
                                      *child])
                self.assertEqual(result.out, plain.out, result)


if __name__ == "__main__":
    harness.main()
