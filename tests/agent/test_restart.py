# SPDX-License-Identifier: MIT
"""A service manager keeps the listeners (FDSTORE): agents come and go, targets stay served."""
import errno
import os
import signal
import socket

import agents
import harness
import procs
from agents import ServiceManager, Target


class Restart(harness.Case):
    def test_notifications(self):
        manager = ServiceManager(self)
        agent = manager.start("a")
        self.wait(lambda: manager.notified("READY=1"), "READY")
        self.assertEqual(agent.end(), 0)
        self.wait(lambda: manager.notified("STOPPING=1"), "STOPPING")

    def test_stored_and_removed(self):
        manager = ServiceManager(self)
        agent = manager.start("a")
        target = Target(self)
        target.give(agent)
        self.assertEqual(target.call(7000), 7000)
        self.wait(lambda: len(manager.names()) == 1, "the store")
        os.kill(7000, signal.SIGKILL)
        target.close()
        self.wait(lambda: not manager.names(), "the removal")
        self.assertEqual(agent.end(), 0)

    def test_socket_activation(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            listening.bind(self.path("agent.sock"))
            listening.listen()
            manager = ServiceManager(self)
            agent = manager.start("a", sockets=[listening])
            agent.serves()
            self.assertEqual(agent.end(), 0)
            self.assertTrue(os.path.exists(agent.path), "the manager's, not the agent's")
            # A connection made between two agents waits.
            waiting = self.start(agents.SHIM, "--socket", agent.path, harness.CALL, "7000")
            agent = manager.start("b", sockets=[listening])
            self.assertEqual(self.finish(waiting), 0)

    def test_passed_to_another_process(self):
        env = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
        agents.Agent(self, env=env).serves()

    def test_target_survives(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(number):
                manager = ServiceManager(self)
                agent = manager.start(f"a{number}")
                target = Target(self)
                target.give(agent).close()
                self.assertEqual(target.call(7000 + number), 7000 + number)
                agent.end(number)
                # Without an agent the call waits for the next one.
                target.ask(7100 + number)
                agent = manager.start(f"b{number}")
                self.assertEqual(target.answer(), 7100 + number)
                self.assertEqual(target.call(7200 + number), 7200 + number)
                agent.end()
                manager._end()
                os.unlink(manager.path)

    def test_policy_still_knows_the_target(self):
        with open(self.path("policy"), "w") as file:
            file.write('{"rules":[{"match":{"container":"web","annotations":{"a":"b"}},'
                       '"pids":[7000]}]}')
        manager = ServiceManager(self)
        agent = manager.start("a", "--policy", self.path("policy"))
        target = Target(self)
        target.give(agent, annotations={"a": "b"})
        self.assertEqual(target.call(7000), 7000)
        self.wait(manager.names, "the store")
        agent.end(signal.SIGKILL)
        os.kill(7000, signal.SIGKILL)
        self.wait(lambda: procs.get(7000) is None or procs.get(7000).state == "Z", "its end")
        agent = manager.start("b", "--policy", self.path("policy"))
        self.assertEqual(target.call(7001), -errno.EPERM)
        agent.says('container "web"')

    def test_call_that_the_dead_agent_had_received(self):
        # Received and never answered: while the listener lives, the kernel does not deliver it
        # again.
        self.need_root()
        manager = ServiceManager(self)
        agent = manager.start("a")
        target = Target(self)
        target.give(agent).close()
        self.assertEqual(target.call(7000), 7000)
        target.ask_held()
        self.wait(agent.reads_memory, "the agent's attempt to read")
        self.assertEqual(agent.end(signal.SIGKILL), -signal.SIGKILL)
        agent = manager.start("b")
        self.assertEqual(target.answer(), -errno.ENOSYS)
        agent.says("unanswered calls failed with ENOSYS: 1")
        self.assertEqual(target.call(7001), 7001)

    def test_call_in_progress_does_not_delay_the_end(self):
        self.need_root()
        agent = agents.Agent(self)
        target = Target(self)
        target.give(agent).close()
        target.ask_held()
        self.wait(agent.reads_memory, "the agent's attempt to read")
        # Others are served in the meantime, and the agent still ends.
        agent.serves()
        self.assertEqual(agent.end(), 0)
        agent.says("can't be finished")
        self.assertEqual(target.answer(), -errno.ENOSYS)

    def test_killed_at_random(self):
        manager = ServiceManager(self)
        for round_number in range(20):
            agent = manager.start(f"a{round_number}")
            child = self.start(agents.SHIM, "--socket", agent.path, harness.CALL, "-q", "-r", "0",
                               "-o", self.path(f"n{round_number}"))
            calls = lambda: self.counters(f"n{round_number}")[0]  # noqa: E731
            self.wait(lambda: calls() > 20, "calls")
            agent.end(signal.SIGKILL)
            agent = manager.start(f"b{round_number}")
            before = calls()
            self.wait(lambda: calls() > before + 20, "calls after the restart")
            _, failures, enosys = self.counters(f"n{round_number}")
            self.assertEqual(failures, enosys)
            self.assertLessEqual(failures, 1)
            child.kill()
            self.finish(child)
            agent.end()

    def counters(self, name):
        return harness.counters(self.path(name)) or (0, 0, 0)

    def test_listener_that_ended_in_between(self):
        manager = ServiceManager(self)
        agent = manager.start("a")
        target = Target(self)
        target.give(agent).close()
        self.assertEqual(target.call(7000), 7000)
        self.wait(manager.names, "the store")
        agent.end(signal.SIGKILL)
        for pid in (7000, target.pid):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(target.pid, 0)
        agent = manager.start("b")
        self.wait(lambda: not manager.names(), "the removal")
        self.assertEqual(agent.end(), 0)

    def test_foreign_descriptors(self):
        manager = ServiceManager(self)
        manager.store = [("clone2-1", os.memfd_create("x")), ("other", os.eventfd(0)),
                         ("", os.dup(0))]
        agent = manager.start("a")
        agent.serves()
        self.wait(lambda: "clone2-1" not in manager.names(), "the removal")


if __name__ == "__main__":
    harness.main()
