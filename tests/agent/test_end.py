# SPDX-License-Identifier: MIT
"""The end of an agent, at start-up, too, and what its targets see of it."""
import errno
import os
import signal

import agents
import harness
from agents import Agent, Target, ended

OPENAT = 257  # x86-64


class End(harness.Case):
    def test_signals_at_start_up(self):
        # It waits for a policy file that nothing writes.
        os.mkfifo(self.path("policy"))
        for number in (signal.SIGTERM, signal.SIGINT):
            agent = Agent(self, "--policy", self.path("policy"), wait=False, name=f"agent{number}")
            self.wait(lambda: agent.is_in(OPENAT), "the open")
            agent.child.send_signal(signal.SIGHUP)  # nothing to reload yet
            self.assertEqual(agent.end(number), 0, agent.err())

    def test_signals_while_metrics_wait(self):
        # For a reader of what should become the file.
        os.mkfifo(self.path("metrics.new"))
        for number in (signal.SIGTERM, signal.SIGINT):
            agent = Agent(self, "--metrics", self.path("metrics"), wait=False,
                          name=f"agent{number}")
            self.wait(lambda: os.path.exists(agent.path) and agent.is_in(OPENAT), "the open")
            agent.child.send_signal(signal.SIGUSR1)  # nothing to print yet
            self.assertEqual(agent.end(number), 0, agent.err())

    def test_last_metrics_can_not_be_written(self):
        agent = Agent(self, "--metrics", self.path("metrics"))
        os.mkfifo(self.path("metrics.new"))
        self.assertEqual(agent.end(), 0, agent.err())
        agent.says("a file can't be finished")

    def test_signals(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            agent = Agent(self, name=f"agent{number}")
            agent.serves()
            self.assertEqual(agent.end(number), 0)
            self.assertFalse(os.path.exists(agent.path))

    def test_targets_continue(self):
        for number, status in ((signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)):
            agent = Agent(self, name=f"agent{number}")
            target = Target(self)
            target.give(agent)
            self.assertEqual(target.call(7000 + number), 7000 + number)
            self.assertEqual(agent.end(number), status)
            self.assertEqual(target.call(7100), -errno.ENOSYS)

    def test_calls_without_pause(self):
        agent = Agent(self)
        target = self.start(agents.SHIM, "--socket", agent.path, harness.CALL, "-q", "-r", "0",
                            "-o", self.path("n"))
        self.wait(lambda: os.path.exists(self.path("n")) and self.counters()[0] > 100, "calls")
        self.assertEqual(agent.end(), 0)
        self.wait(lambda: self.counters()[2] > 100, "calls that fail")
        _, failures, enosys = self.counters()
        self.assertEqual(failures, enosys)
        target.kill()
        self.finish(target)

    def counters(self):
        from session import Calls
        return Calls(0, self.path("n")).counters()

    def test_silent_connections_do_not_delay_it(self):
        agent = Agent(self)
        peers = [agent.connect() for _ in range(5)]
        self.assertEqual(agent.end(), 0)
        self.assertEqual([ended(peer) for peer in peers], [b""] * 5)


if __name__ == "__main__":
    harness.main()
