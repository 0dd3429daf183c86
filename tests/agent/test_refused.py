# SPDX-License-Identifier: MIT
"""Refuses each system call made at start-up to the agent or to clone2-shim: neither hangs, and PROGRAM
has clone2, or does not run and the call is named."""
import signal

import agents  # noqa: F401  (the path to harness)
import harness
import refused
from agents import SHIM, Agent

# The agent starts, and reports for each connection or call what it may not do.
NAMED_LATER = ("ioctl", "seccomp", "accept4", "ptrace", "process_vm_readv")
# PROGRAM itself needs these, clone2-shim does not.
OF_PROGRAM = ("clone3", "wait4", "close", "pread64", "mmap", "mprotect", "openat", "newfstatat",
              "arch_prctl", "write")


class AgentStart(harness.Case):
    limit = 900

    def test_each(self):
        refused.each(self, self.try_one)

    def try_one(self, name, error):
        label = f"{name}{error}"
        agent = Agent(self, wait=False, name=label, command=refused.refusing(name, error))
        if name in refused.LOADER or name == "write":
            # The C library has ended it; or it may listen but can't report that.
            agent.child.kill()
            self.finish(agent.child)
            return
        self.wait(lambda: "listening on" in agent.err() or agent.child.poll() is not None,
                  f"the agent's start without {name}", refused.SECONDS)
        if agent.child.poll() is not None:
            self.assertEqual(agent.child.poll(), 125, agent.err())
            self.assertIn(refused.spoken(name), agent.err())
            return
        if name == "accept4":
            agent.connect()  # else there is no connection to accept
            agent.says("accept()")
        else:
            result = agent.shim(harness.CALL, "7000")
            if harness.calls(result.out) != [7000]:
                self.assertIn(name, NAMED_LATER, result)
                agent.says(refused.spoken(name))
        self.assertEqual(agent.end(signal.SIGTERM), 0, agent.err())


class Shim(harness.Case):
    limit = 900

    def test_each(self):
        self.agent = Agent(self)
        refused.each(self, self.try_one)
        self.assertEqual(self.agent.end(), 0)

    def try_one(self, name, error):
        result = harness.run([*refused.refusing(name, error), SHIM, "--socket", self.agent.path,
                              "--", harness.CALL, "7000"], timeout=refused.SECONDS)
        if name in OF_PROGRAM or harness.calls(result.out) == [7000]:
            return
        self.assertEqual((result.status, result.out), (125, ""), result)
        if name != "getpid":  # then the message is not JSON
            self.assertIn(refused.spoken(name), result.err)


if __name__ == "__main__":
    harness.main()
