# SPDX-License-Identifier: MIT
"""Hostile peers: the agent closes and reports each, and serves the others in the meantime."""
import contextlib
import errno
import fcntl
import os
import resource
import select
import signal
import socket
import struct
import termios
import threading

import agents
import harness
import procs
import tracing
from agents import (NOTIF_RECV, NOTIF_SEND, PROCESS_VM_READV, TIMER_SETTIME, Agent, Target,
                    ended)
from hanging_files import HangingFiles

CLOSE = 3  # x86-64
TOO_LONG = 1 << 20
FEW = 16  # connections that may stay silent for long


class Hostile(harness.Case):
    def refused(self, agent, peer, text):
        """The agent closes this connection, says why, and serves others."""
        self.assertEqual(ended(peer), b"")
        agent.says(text)
        agent.serves()

    def test_garbage(self):
        for name, message, text in (
                ("noise", bytes(range(256)) * 4, "not a JSON object"),
                ("number", b"42", "not a JSON object"),
                ("array", b"[]", "not a JSON object"),
                ("two", b"{}{}", "not a JSON object"),
                ("broken", b'{"a":}', "the message is not JSON"),
                ("utf8", b'{"a":"\xff\xfe"}', "the message is not JSON"),
                ("empty", b"{}", 'no "fds" array'),
                ("strange", b'{"fds":"seccompFd"}', 'no "fds" array'),
                ("other", b'{"fds":["a",7,null,{}]}', 'no "seccompFd"'),
                ("twice", b'{"fds":["seccompFd","seccompFd"]}', 'more than one "seccompFd"')):
            with self.subTest(name):
                agent = Agent(self, name=name)
                self.refused(agent, agent.send(message), text)
                self.assertEqual(agent.end(), 0)

    def test_half_a_message(self):
        agent = Agent(self)
        peer = agent.send(agents.state()[:-1])
        peer.shutdown(socket.SHUT_WR)
        self.refused(agent, peer, "ended in the middle")

    def test_half_a_message_with_a_listener(self):
        agent = Agent(self)
        target = Target(self)
        peer = agent.send(agents.state()[:-1], [target.listener])
        target.forget()
        target.ask(7000)
        peer.close()
        self.assertEqual(target.answer(), -errno.ENOSYS)

    def test_no_descriptor(self):
        agent = Agent(self)
        self.refused(agent, agent.send(agents.state()), "1 descriptors were announced, 0 came")

    def test_too_many_descriptors(self):
        agent = Agent(self)
        before = agent.fds()
        with open("/dev/null") as null:
            peer = agent.send(agents.state(), [null.fileno()] * 64)
            self.refused(agent, peer, "64 descriptors; at most 16")
        self.wait(lambda: agent.fds() == before, "their end")

    def test_other_number_of_descriptors(self):
        agent = Agent(self)
        target = Target(self)
        with open("/dev/null") as null:
            peer = agent.send(agents.state(), [target.listener, null.fileno()])
            self.refused(agent, peer, "1 descriptors were announced, 2 came")

    def test_descriptors_in_a_later_message(self):
        agent = Agent(self)
        target = Target(self)
        text = agents.state()
        peer = agent.send(text[:9])
        # Wait until it is read: pieces that wait together are received together.
        self.wait(lambda: self.unread(peer) == 0, "the first message's arrival")
        socket.send_fds(peer, [text[9:]], [target.listener])
        self.refused(agent, peer, "after the beginning of its message")

    @staticmethod
    def unread(peer):
        return struct.unpack("i", fcntl.ioctl(peer, termios.TIOCOUTQ, bytes(4)))[0]

    def test_no_listener(self):
        agent = Agent(self)
        before = agent.fds()
        read, write = os.pipe()
        with open("/dev/null") as null, socket.socket(socket.AF_UNIX) as other:
            for fd in (null.fileno(), write, other.fileno(), os.memfd_create("m"),
                       os.eventfd(0), os.pidfd_open(os.getpid())):
                peer = agent.send(agents.state(), [fd])
                self.assertEqual(ended(peer), b"")
        agent.says("not a seccomp listener")
        os.close(write)
        self.assertEqual(os.read(read, 1), b"", "the agent has closed its copy")
        agent.serves()
        self.wait(lambda: agent.fds() == before, "no descriptor kept")

    def lingering_socket(self):
        client, server = agents.lingering_socket()
        self.addCleanup(server.close)
        return client

    def wrapped(self):
        """A socket with a lingering one in its queue: from outside, its close looks harmless."""
        inner = self.lingering_socket()
        ours, theirs = socket.socketpair()
        socket.send_fds(theirs, [b"x"], [inner.fileno()])
        inner.close()
        theirs.close()
        return ours

    def stop(self, agent):
        agent.child.send_signal(signal.SIGSTOP)
        self.wait(lambda: procs.has_stopped(agent.pid), "the agent's stop")

    def send_on_the_way(self, agent, message, files):
        """Sends files and closes them here first: the agent's close is the last."""
        self.stop(agent)
        peer = agent.send(message, [file.fileno() for file in files])
        for file in files:
            file.close()
        agent.child.send_signal(signal.SIGCONT)
        return peer

    def test_socket_that_lingers(self):
        # Its last close would wait for a peer that does not read. The agent must not make it wait.
        agent = Agent(self)
        before = agent.fds()
        for name in ("lingering_socket", "wrapped"):
            with self.subTest(name):
                file = getattr(self, name)()
                peer = self.send_on_the_way(agent, agents.state(), [file])
                self.refused(agent, peer, "not a seccomp listener")
                self.wait(lambda: agent.fds() == before, "its end")

    def test_descriptors_that_are_not_received(self):
        # In a connection that is closed while it contains them, and after a message.
        self.need_root()
        agent = Agent(self)
        before = agent.fds()
        for stranger in (True, False):
            target = Target(self)
            self.stop(agent)
            os.chmod(agent.path, 0o666)
            with agents.user(harness.NOBODY if stranger else 0):
                peer = agent.connect()
            socket.send_fds(peer, [agents.state()], [] if stranger else [target.listener])
            inner = self.lingering_socket()
            socket.send_fds(peer, [b" "], [inner.fileno()])
            inner.close()
            agent.child.send_signal(signal.SIGCONT)
            ended(peer)
            agent.serves()
            target.close()
            self.wait(lambda: agent.fds() == before, "their end")

    def test_file_whose_close_hangs(self):
        # A user's hanging closes count as its descriptors; others' descriptors are still closed.
        self.need_root()
        agent = Agent(self, "--allow-uid", str(harness.NOBODY), "--budget", "descriptors=64")
        before = agent.fds()
        files = HangingFiles(self)
        with agents.user(harness.NOBODY):
            files.open_apart(lambda fd: agent.send(agents.state(), [fd]))
        self.wait(lambda: agent.is_in(CLOSE), "a close that waits")
        most = 0
        with open("/dev/null") as null:
            for _ in range(100):
                # It may be refused at once.
                with contextlib.suppress(OSError), agents.user(harness.NOBODY):
                    ended(agent.send(agents.state(), [null.fileno()] * 4))
                most = max(most, agent.fds() - before)
        # What comes beyond its half is not received, and so need not be closed after it.
        self.assertGreaterEqual(most, 32)
        self.wait(lambda: agent.fds() - before <= 32 + 4, "the end of the connections")
        self.assertTrue(agent.is_in(CLOSE))
        read, write = os.pipe()
        ended(agent.send(agents.state(), [write]))
        os.close(write)
        self.assertEqual(os.read(read, 1), b"", "another user's is closed")
        agent.serves()
        files.end()
        self.wait(lambda: agent.fds() == before, "the end of it all")
        self.assertEqual(agent.end(), 0)

    def test_dead_target(self):
        agent = Agent(self)
        before = agent.fds()
        target = Target(self)
        os.kill(target.pid, signal.SIGKILL)
        os.waitpid(target.pid, 0)
        target.give(agent).close()
        agent.says("its last process is gone")
        self.wait(lambda: agent.fds() == before, "the listener's end")
        agent.serves()

    def test_deep_and_huge(self):
        for name, message, text in (
                ("deep", b'{"a":' + b"[" * 100000, "nested too deeply"),
                ("objects", b'{"a":' * 100000, "nested too deeply"),
                ("huge", b'{"a":"' + b"x" * TOO_LONG, "longer than"),
                ("blanks", b" " * TOO_LONG + b" ", "longer than")):
            with self.subTest(name):
                agent = Agent(self, name=name)
                peer = agent.connect()
                try:
                    peer.sendall(message)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                ended(peer)
                agent.says(text)
                agent.serves()

    def test_largest_message(self):
        agent = Agent(self)
        target = Target(self)
        text = agents.state(pad="")
        target.give(agent, pad="x" * (TOO_LONG - len(text)))
        self.assertEqual(target.call(7000), 7000)

    def test_slow_sender(self):
        agent = Agent(self)
        peer = agent.connect()
        end = threading.Event()

        def send():
            for byte in agents.state(pad="x" * 100000):
                try:
                    peer.sendall(bytes([byte]))
                except OSError:
                    return
                if end.wait(0.2):
                    return
        sender = threading.Thread(target=send)
        sender.start()
        agent.serves()
        self.refused(agent, peer, "took too long")
        end.set()
        sender.join()

    def test_thousand_silent_connections(self):
        agent = Agent(self)
        before = agent.fds()
        peers = [agent.connect() for _ in range(1000)]
        agent.serves()
        agent.says("too many connections")
        # Admitted connections are closed when their time is up, except a few.
        self.wait(lambda: agent.fds() == before + FEW, "the end of the connections")
        agent.serves()
        agent.says("it sent nothing")
        for peer in peers:
            peer.close()
        self.wait(lambda: agent.fds() == before, "the end of all connections")

    def test_connections_that_come_and_go(self):
        # Nothing remains of a connection that has ended, not even a timer.
        agent = Agent(self)
        agent.serves()
        for _ in range(1000):
            agent.connect().close()
        before = agent.data_kib()
        for _ in range(20000):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(agent.path)
        agent.serves()
        self.assertLess(agent.data_kib() - before, 1024)

    def test_few_silent_connections(self):
        # A runtime that connects when it creates the container, and sends when it starts it.
        agent = Agent(self)
        before = agent.fds()
        target = Target(self)
        peers = [agent.connect() for _ in range(FEW + 5)]
        self.wait(lambda: agent.fds() == before + FEW, "the end of those that are too many")
        alive = [peer for peer in peers if not self.hung_up(peer)]
        self.assertEqual(len(alive), FEW)
        socket.send_fds(alive[0], [agents.state()], [target.listener])
        target.forget()
        self.assertEqual(target.call(7000), 7000)

    @staticmethod
    def hung_up(peer):
        poll = select.poll()
        poll.register(peer, select.POLLIN)
        return bool(poll.poll(0))

    def test_more_descriptors_than_there_are(self):
        # A user's connections are closed, oldest first, before the agent runs out of descriptors.
        agent = Agent(self, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE,
                                                                 (64, 64)))
        peers = [agent.connect() for _ in range(100)]
        agent.says("too many connections")
        agent.serves()
        self.assertNotIn("Too many open files", agent.err())
        for peer in peers:
            peer.close()
        agent.serves()

    def test_receiver_beside_the_agent(self):
        # A peer keeps its listener and takes calls away from the agent: others must not wait.
        self.steal(Agent(self))

    def test_receiver_beside_another_thread(self):
        # The same while another caller's call holds up the agent's first thread.
        self.need_root()
        agent = Agent(self)
        held = Target(self)
        held.give(agent)
        held.ask_held()
        self.wait(agent.reads_memory, "the agent's attempt to read")
        self.steal(agent)

    def steal(self, agent):
        target = Target(self)
        stolen = os.dup(target.listener)
        target.give(agent)
        target.call(0)
        # It has looked and is about to receive: then there is nothing left to receive.
        receiver = tracing.Before(agent.pid, TIMER_SETTIME, sleeping=PROCESS_VM_READV)
        target.ask(0)
        self.wait(receiver.reached, "the agent to receive")
        notification = fcntl.ioctl(stolen, NOTIF_RECV, bytes(80))
        receiver.let_go()
        agent.serves()
        agent.says("another process receives")
        agent.says("a listener has ended")
        self.assertNotRegex(agent.err(), "web.*: its last process is gone")
        fcntl.ioctl(stolen, NOTIF_SEND, notification[:8] + struct.pack("qiI", 0, -errno.EPERM, 0))
        self.assertEqual(target.answer(), -errno.EPERM)
        os.close(stolen)

    def test_same_listener_twice(self):
        agent = Agent(self)
        target = Target(self)
        other = os.dup(target.listener)
        target.give(agent)
        peer = agent.send(agents.state(), [other])
        os.close(other)
        self.refused(agent, peer, "this listener is already served")
        for pid in range(7000, 7050):
            self.assertEqual(target.call(pid), pid)

    def test_shim_with_another_call_s_number(self):
        agent = Agent(self)
        target = Target(self)
        peer = agent.send(agents.state(metadata="clone2-shim nr=39"), [target.listener])
        self.assertIn(b"getpid", ended(peer))

    def test_long_texts(self):
        # They would fill what is queued where stderr or the log is read slowly.
        long = "x" * (TOO_LONG - 1000)
        agent = Agent(self, "--log", "-", "--log-format=json")
        Target(self).give(agent, container="shim", metadata="clone2-shim nr=387",
                          annotations={"clone2-shim.refused": long})
        agent.says("refuses clone2's number: xxx")
        target = Target(self)
        target.give(agent, container=long)
        self.assertEqual(target.call(7000), 7000)
        agent.says('"result":7000')
        target.close()
        self.assertEqual(agent.end(), 0)
        self.assertLess(max(map(len, agent.err().splitlines())), 1000)

    def test_own_refusals_hide_no_other_warning(self):
        agent = Agent(self)
        for _ in range(11):
            Target(self).give(agent, metadata="clone2-shim nr=387",
                              annotations={"clone2-shim.refused": "387 with EPERM"})
        self.wait(lambda: agent.err().count("its listener is served") == 11, "11 listeners")
        os.kill(agent.pid, signal.SIGUSR1)
        agent.says("no calls are counted")

    def test_metadata_for_a_terminal(self):
        agent = Agent(self, "--policy", self.policy('{"rules":[]}'))
        target = Target(self)
        target.give(agent, container="\x1b[2J\n\"forged\"")
        self.assertEqual(target.call(7000), -errno.EPERM)
        agent.says("no rule of the policy")
        self.assertNotIn("\x1b", agent.err())
        self.assertIn('\\x1b[2J\\x0a\\x22forged', agent.err())

    def policy(self, text):
        with open(self.path("policy"), "w") as file:
            file.write(text)
        return self.path("policy")


if __name__ == "__main__":
    harness.main()
