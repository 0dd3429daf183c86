# SPDX-License-Identifier: MIT
"""Refuses each system call made at start-up: nothing hangs, and PROGRAM has clone2, or does not run
and the call is named."""
import re

import harness
import refused

# The wrapper starts anyway. Each clone2 call then fails, and a message says why.
NAMED_AT_THE_CALL = ("ptrace", "process_vm_readv")


class Wrapper(harness.Case):
    options = ()

    def start(self, name, error):
        return harness.run([*refused.refusing(name, error), harness.SUPERVISE, *self.options, "--",
                            harness.CALL, "7000"], timeout=refused.SECONDS)

    def judge(self, name, result):
        """Whether it works; fails if it neither works nor says what was refused."""
        if harness.calls(result.out) == [7000]:
            self.assertEqual(result.status, 0, result)
            return True
        if name == "write" and result.status == 0:
            self.assertEqual(result.out, "", result)  # PROGRAM ran, and could not print
            return True
        if name in NAMED_AT_THE_CALL:
            self.assertEqual(result.status, 1, result)
            self.assertIn("refused: ", result.err, result)
        elif name in refused.LOADER:
            self.assertNotEqual(result.status, 0, result)
            self.assertEqual(result.out, "", result)
            return False
        else:
            self.assertEqual((result.status, result.out), (125, ""), result)
        if name != "write":
            self.assertIn(refused.spoken(name), result.err, result)
        return False

    def test_each(self):
        refused.each(self, lambda name, error: self.judge(name, self.start(name, error)))

    def test_table_is_complete(self):
        self.need_command("strace")
        file = self.path("trace")
        harness.run(["strace", "-f", "-qqq", "-e", "signal=none", "-o", file, harness.SUPERVISE,
                     *self.options, "--", "true"])
        seen = set(re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)[( ]", self.read("trace"), re.M))
        self.assertIn("sendmsg", seen)
        seen -= {"syscall_0x183"}  # 387
        self.assertEqual(seen - set(refused.CALLS) - set(refused.NOT_TRIED), set())


class Pidns(Wrapper):
    options = ("--pidns",)


class Check(harness.Case):
    def test_each(self):
        refused.each(self, self.try_one)

    def try_one(self, name, error):
        """It agrees with what then happens, and names what is refused."""
        denier = refused.refusing(name, error)
        check = harness.run([*denier, harness.SUPERVISE, "--check"], timeout=refused.SECONDS)
        if name in refused.LOADER:
            self.assertNotEqual(check.status, 0, check)
            return
        self.assertIn(check.status, (0, 1, 125), check)
        if check.status == 1:
            self.assertRegex(check.out, rf"(?m)^\w+ +no .*{re.escape(refused.spoken(name))}")
        elif check.status == 125 and name != "write":
            self.assertIn(refused.spoken(name), check.err)
        result = harness.run([*denier, harness.SUPERVISE, "--", harness.CALL, "7000"],
                             timeout=refused.SECONDS)
        works = harness.calls(result.out) == [7000]
        self.assertEqual(check.status == 0, works, f"{check}\nbut\n{result}")


if __name__ == "__main__":
    harness.main()
