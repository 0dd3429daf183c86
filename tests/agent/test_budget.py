# SPDX-License-Identifier: MIT
"""What one user can take of an agent, and that this leaves enough for others."""
import contextlib
import os
import signal

from agents import PROCESS_VM_READV, Agent, ServiceManager, Target, ended, harness


class Budget(harness.Case):
    def agent(self, budget, **kw):
        self.need_root()
        return Agent(self, "--allow-uid", str(harness.NOBODY), "--budget", budget, **kw)

    def give(self, agent, target, uid=harness.NOBODY, **kw):
        """Hands over a listener as this user."""
        os.seteuid(uid)
        try:
            return target.give(agent, **kw)
        finally:
            os.seteuid(0)

    def hold(self, agent, calls):
        """A listener of another user, with calls that each hold up a thread; returns its target."""
        target = Target(self)
        self.give(agent, target)
        target.hold_many(calls)
        return target

    def served(self, agent):
        return agent.err().count("its listener is served\n")

    def held(self, agent, count):
        self.wait(lambda: agent.threads_in(PROCESS_VM_READV) == count,
                  f"{count} calls that are held up")

    def test_calls(self):
        # A single user gets half of them, and its first listener half of that.
        agent = self.agent("calls=16")
        targets = [self.hold(agent, 20)]
        self.held(agent, 4)
        for count in (6, 7, 8, 8):
            targets.append(self.hold(agent, 20))
            self.held(agent, count)
        agent.says("uid 65534: 4 calls are under way and held up, further ones wait")
        agent.serves()
        # When the others' calls have ended, the last listener, which had none, gets as many as the
        # first.
        for target in targets[:4]:
            for pid in self.descendants(target.pid):
                os.kill(pid, signal.SIGKILL)
        self.held(agent, 4)
        agent.serves()
        self.assertEqual(agent.err().count("further ones wait"), 1)

    @staticmethod
    def descendants(pid):
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]

    def test_listeners(self):
        agent = self.agent("listeners=8")
        targets = [Target(self) for _ in range(5)]
        for target in targets[:4]:
            self.give(agent, target)
        self.wait(lambda: self.served(agent) == 4, "its share")
        self.assertEqual(ended(self.give(agent, targets[4])), b"")
        agent.says("uid 65534 has used up its share of listeners: 4 of 8")
        self.assertEqual(targets[4].call(7000), -38, "no agent serves it")
        agent.serves()
        # When one ends there is room again.
        targets[0].close()
        # Not that of serves(), which is root's.
        self.wait(lambda: any("uid 65534" in line and line.endswith("its last process is gone")
                              for line in agent.err().splitlines()), "the listener's end")
        again = Target(self)
        self.give(agent, again)
        self.assertEqual(again.call(7001), 7001)

    def test_memory(self):
        agent = self.agent("memory=4")
        targets = [Target(self) for _ in range(5)]
        for target in targets[:3]:
            self.give(agent, target, annotations={"a": "x" * 600_000}).close()
        self.wait(lambda: self.served(agent) == 3, "its share")
        with contextlib.suppress(BrokenPipeError):  # it may be refused at once
            ended(self.give(agent, targets[3], annotations={"a": "x" * 600_000}))
        agent.says("uid 65534 has used up its share of memory")
        agent.serves()
        self.give(agent, targets[4])
        self.assertEqual(targets[4].call(7000), 7000, "a small one has room")

    def test_incomplete_messages(self):
        agent = self.agent("memory=4")
        before = agent.data_kib()
        os.seteuid(harness.NOBODY)
        peers = [agent.connect() for _ in range(10)]
        os.seteuid(0)
        for peer in peers:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                peer.sendall(b'{"a":"' + b"x" * 900_000)
        agent.says("uid 65534 has used up its share of memory")
        self.assertLess(agent.data_kib() - before, 6 << 10)
        agent.serves()

    def test_kept_across_a_restart(self):
        # Six descriptors: a single user may keep one listener with its note; more are served but
        # not kept.
        os.environ["FDSTORE"] = "6"
        self.addCleanup(os.environ.pop, "FDSTORE")
        manager = ServiceManager(self)
        agent = manager.start("a")
        targets = [Target(self) for _ in range(2)]
        for number, target in enumerate(targets):
            target.give(agent).close()
            self.assertEqual(target.call(7000 + number), 7000 + number)
        agent.says("has used up its share of listeners kept across restarts: 1 of 3")
        agent.says("the service manager can't keep its listener")
        self.wait(lambda: len(manager.names()) == 1, "one listener to be kept")
        self.assertEqual(agent.end(signal.SIGKILL), -signal.SIGKILL)
        self.assertEqual(targets[1].call(7003), -38)
        manager.start("b")
        self.assertEqual(targets[0].call(7002), 7002)


if __name__ == "__main__":
    harness.main()
