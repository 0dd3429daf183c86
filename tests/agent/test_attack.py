# SPDX-License-Identifier: MIT
"""One peer does everything at once that may take an agent from the others, and is noticed by none.

The agent is in a user namespace that does not map all users. Each part of the attack counts its
successes, so that it is known to be in effect before, while and after the victim calls. With
CLONE2_TIMED=1 each of the victim's calls takes less than 100 ms; else no time is measured."""
import contextlib
import ctypes
import errno
import mmap
import os
import platform
import resource
import signal
import socket
import stat
import struct
import threading
import time

import agents
import harness
import procs
import tracing
from agents import NR, PROCESS_VM_READV, ServiceManager, Target, lingering_socket, libc, user
from hanging_files import HangingFiles

CLONE_NEWUSER, CLONE_NEWPID = 0x10000000, 0x20000000
PR_SET_DUMPABLE = 4
BIND, CLOSE = 49, 3  # x86-64

MAPPED = 60000  # users that the agent's namespace has
VICTIM, ATTACKER, STRANGER = 1000, 1001, 70000

FILES, CALLS, LISTENERS, MEMORY, FDSTORE = 1024, 64, 128, 16, 64
DESCRIPTORS = FILES - FILES // 4  # what the agent shares out of its RLIMIT_NOFILE
HELD = 3 * 120                    # calls whose arguments nobody can read, from three listeners
CROWD = 1100                      # listeners of one process
MAPPINGS = 60000
VICTIM_CALLS = 100
SHIM = agents.state(metadata=f"clone2-shim nr={NR}")  # a peer that gets an answer


class Counts:
    """Numbers that all processes of a test share."""

    def __init__(self):
        self.memory, self.names = mmap.mmap(-1, 4096), []

    def add(self, name):
        at = 8 * self.names.index(name)
        self.memory[at:at + 8] = struct.pack("Q", self[name] + 1)

    def __getitem__(self, name):
        at = 8 * self.names.index(name)
        return struct.unpack("Q", self.memory[at:at + 8])[0]

    def all(self):
        return {name: self[name] for name in self.names}


class Attack(harness.Case):
    limit = 1500

    def setUp(self):
        super().setUp()
        self.need_root()
        self.need("fuse", os.path.exists("/dev/fuse"))
        self.counts, self.attackers = Counts(), []

    # The agent

    def start_agent(self):
        """In a user namespace of its own, with a socket in a directory of the attacker's."""
        os.mkdir(self.path("run"))
        os.chown(self.path("run"), ATTACKER, ATTACKER)
        self.socket = self.path("run/agent.sock")
        os.environ["FDSTORE"] = str(FDSTORE)
        self.addCleanup(os.environ.pop, "FDSTORE")
        self.manager = ServiceManager(self)
        entered, go = os.pipe(), os.pipe()

        def before():
            resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
            assert libc.unshare(CLONE_NEWUSER) == 0
            os.write(entered[1], b".")
            os.read(go[0], 1)
            for fd in (*entered, *go):
                os.close(fd)

        agent = self.manager.start(
            "agent", "--budget", f"calls={CALLS},listeners={LISTENERS},memory={MEMORY}",
            "--allow-uid", f"{VICTIM},{ATTACKER},{harness.NOBODY}", path=self.socket, before=before)
        os.read(entered[0], 1)
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{agent.pid}/{name}", "w") as file:
                file.write(f"0 0 {MAPPED}")
        self.swap(agent, go[1])
        for fd in (*entered, *go):
            os.close(fd)
        return agent

    def swap(self, agent, go):
        """Between bind() and what follows, the attacker puts a link to a secret file in the socket's
        place; afterwards the socket again."""
        secret, away = self.path("secret"), self.socket + ".away"
        with open(secret, "w"):
            os.chmod(secret, 0o600)
        held = tracing.Before(agent.pid, BIND)
        os.write(go, b".")
        self.wait(held.reached, "bind()")
        held.finish_call()
        with user(ATTACKER):
            os.rename(self.socket, away)
            os.symlink(secret, self.socket)
        held.let_go()
        agent.says("listening on")
        self.assertEqual(os.readlink(self.socket), secret, "it was swapped all the time")
        self.assertEqual(stat.S_IMODE(os.stat(secret).st_mode), 0o600, "the secret is one still")
        with user(ATTACKER):
            os.rename(away, self.socket)

    def enter(self):
        """In a target: into the agent's user namespace."""
        namespace = os.open(f"/proc/{self.agent.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        assert libc.setns(namespace, CLONE_NEWUSER) == 0, ctypes.get_errno()
        os.close(namespace)
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # seteuid() in the test has taken that away

    # The victim

    def enter_as_victim(self):
        """Also into a pid namespace of its own, where it may choose pids."""
        self.enter()
        assert libc.unshare(CLONE_NEWPID) == 0
        pid = os.fork()
        if pid:
            os.closerange(3, 1 << 16)
            os.waitpid(pid, 0)
            os._exit(0)

    def new_victim(self):
        target = Target(self, before=self.enter_as_victim)
        with user(VICTIM):
            target.give(self.agent).close()
        return target

    def call_as_victim(self, victim, pid):
        begin = time.monotonic()
        self.assertEqual(victim.call(pid), pid)
        return time.monotonic() - begin

    # The attack: each part is a process that goes on until it is killed.

    def attack(self, body, *names, uid=ATTACKER):
        """A process of this user that counts its successes by these names."""
        self.counts.names += names
        pid = os.fork()
        if pid == 0:
            try:
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
                body(*(lambda name=name: self.counts.add(name) for name in names))
            finally:
                os._exit(1)
        self.attackers.append(pid)

    def rounds(self):
        """Without end, and not so fast that messages about it fill the disk."""
        while True:
            yield
            time.sleep(0.005)

    def connect(self):
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(30)
        peer.connect(self.socket)
        return peer

    def send(self, message=b"", fds=()):
        """What the agent says to this message before it closes; None: it does not."""
        with contextlib.suppress(OSError), self.connect() as peer:
            try:
                sent = socket.send_fds(peer, [message], fds)
                if sent < len(message):
                    peer.sendall(message[sent:])
            except BrokenPipeError:
                pass  # refused as it comes
            try:
                return agents.ended(peer)
            except TimeoutError:
                pass
        return None

    def many_descriptors(self, count):
        with open("/dev/null") as null:
            for _ in self.rounds():
                if self.send(agents.state(), [null.fileno()] * 200) is not None:
                    count()

    def lingering(self, count):
        """The agent's close is the last one: the sender has ended, which does not linger."""
        for _ in self.rounds():
            pid = os.fork()
            if pid == 0:
                inner, server = lingering_socket()
                ours, theirs = socket.socketpair()
                socket.send_fds(theirs, [b"x"], [inner.fileno()])
                peer = self.connect()
                # One that is received, and two that are not: one behind a message, one in a queue.
                socket.send_fds(peer, [agents.state()], [inner.fileno()])
                with contextlib.suppress(OSError):  # it was refused
                    socket.send_fds(peer, [b" "], [inner.fileno(), ours.fileno()])
                os._exit(0 if server else 1)
            if os.waitpid(pid, 0)[1] == 0:
                count()

    def hanging(self, count):
        """Files that only the agent closes: here a close would hang as well."""
        for _ in self.rounds():
            if self.send(agents.state(), [self.files.open()] * 4) is not None:
                count()
            time.sleep(0.2)

    def held_targets(self):
        """Listeners whose callers wait, each, for somebody who can read their arguments."""
        def before():
            agents.made_before.append(agents.held_page()[1])
            self.enter()

        targets = [Target(self, before=before) for _ in range(3)]
        self.same = os.dup(targets[0].listener)
        for target in targets:
            with user(ATTACKER):
                target.give(self.agent).close()
            target.ours.sendall(b"threads held %d" % (HELD // 3))
            target.answer()
        return targets

    def same_listener(self, count):
        """The listener that is served already, four times for each round."""
        for _ in self.rounds():
            for _ in range(4):
                if self.send(SHIM, [self.same]) not in (None, b"ok\n"):
                    count()

    def unreadable_target(self):
        """Calls with arguments that can't be read, out of very many mappings."""
        def before():
            libc.mmap.restype = ctypes.c_void_p
            size = MAPPINGS * mmap.PAGESIZE
            base = libc.mmap(None, ctypes.c_size_t(size), 0, 0x22, -1, ctypes.c_long(0))
            for page in range(0, MAPPINGS, 2):
                assert libc.mprotect(ctypes.c_void_p(base + page * mmap.PAGESIZE),
                                     ctypes.c_size_t(mmap.PAGESIZE), 3) == 0
            # Low addresses come first in /proc/PID/maps: nearly all have to be passed over.
            agents.made_before.append(base + size - mmap.PAGESIZE)
            self.enter()

        target = Target(self, before=before)
        with user(ATTACKER):
            target.give(self.agent).close()
        return target

    def unreadable(self, count):
        self.unreadable_one.ours.sendall(b"unreadable")
        while True:
            for answer in self.unreadable_one.ours.recv(4096).split():
                if int(answer) == -errno.EFAULT:
                    count()

    def crowd(self, full, refused, large):
        """One process with very many threads, each with a filter of its own."""
        threading.stack_size(1 << 18)
        listeners, ready = [], threading.Semaphore(0)

        def thread():
            listeners.append(agents.install_filter())
            ready.release()
            threading.Event().wait()

        for _ in range(CROWD):
            threading.Thread(target=thread, daemon=True).start()
        for _ in range(CROWD):
            ready.acquire()
        assert min(listeners) >= 0
        note = {"a": "x" * 600_000}
        for _ in self.rounds():
            for number, fd in enumerate(listeners):
                big = number % 100 < 20
                answer = self.send(agents.state(metadata=f"clone2-shim nr={NR}",
                                                annotations=note if big else {}), [fd])
                if answer not in (None, b"ok\n"):
                    (large if big else refused)()
            full()

    def coming_and_going(self, count):
        for _ in self.rounds():
            for _ in range(20):
                with contextlib.suppress(OSError):
                    self.connect().close()
                    count()

    def silent(self, count):
        """Connections that say nothing, or only half of something, up to three hundred."""
        kept = []
        for _ in self.rounds():
            with contextlib.suppress(OSError):
                kept.append(self.connect())
                if len(kept) % 2:
                    kept[-1].setblocking(False)
                    kept[-1].send(b'{"a":"' + b"x" * 200_000)
                count()
            for peer in kept[:-300]:
                peer.close()
            kept = kept[-300:]

    def strangers(self, turned_away, let_in):
        """A user that the agent's namespace doesn't map seems to be 65534, who is allowed."""
        for _ in self.rounds():
            with contextlib.suppress(OSError), self.connect() as peer:
                try:
                    answer = agents.ended(peer)
                except TimeoutError:
                    answer = b""
                (turned_away if b"doesn't map may not use" in answer else let_in)()

    # What the agent uses

    def timers(self):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{self.agent.pid}/timers") as file:
            return sum(line.startswith("ID:") for line in file)
        return 0

    def bytes_read(self):
        with open(f"/proc/{self.agent.pid}/io") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("rchar:"))

    def use(self):
        return {"descriptors": self.agent.fds(), "threads": self.agent.threads(),
                "timers": self.timers(), "KiB": self.agent.data_kib()}

    def check_budget(self, first):
        used = self.use()
        self.assertLessEqual(used["descriptors"], first["descriptors"] + DESCRIPTORS + CALLS)
        self.assertLess(used["threads"], first["threads"] + CALLS + 16)
        self.assertLessEqual(used["timers"], used["threads"])
        self.assertLess(used["KiB"], first["KiB"] + 2 * (MEMORY << 10))
        self.assertNotIn("Too many open files", self.agent.err())
        self.assertIsNone(self.agent.child.poll())
        return used

    def check_held(self, targets):
        """Each caller waits, and so many threads of the agent as the user's share is."""
        waiting = sum(tracing.system_call(target.pid, tid) == str(NR)
                      for target in targets for tid in tracing.tasks(target.pid))
        self.assertEqual(waiting, HELD)
        # The first listener has half of the user's half, the others of what is left.
        self.assertGreaterEqual(self.agent.threads_in(PROCESS_VM_READV), CALLS // 4)
        self.assertLessEqual(self.agent.threads_in(PROCESS_VM_READV), CALLS // 2)

    def advance(self, what):
        """Each part of the attack succeeds once more at least."""
        before = self.counts.all()
        before.pop("stranger let in")
        before.pop("all of the crowd sent")

        def all_have():
            return all(self.counts[name] > count for name, count in before.items())
        procs.wait_for(all_have, 120)
        self.assertTrue(all_have(), f"{what}: from {before} to {self.counts.all()}")

    def test_all_at_once(self):
        self.agent = agent = self.start_agent()
        victim = self.new_victim()
        self.call_as_victim(victim, 7000)
        first = self.use()
        threads_of_loop = 4 + 1  # parked workers, and one that leads while the main thread is parked

        self.files = HangingFiles(self)
        held = self.held_targets()
        self.wait(lambda: agent.threads_in(PROCESS_VM_READV) >= CALLS // 4, "calls that are held up")
        agent.says(f"uid {ATTACKER}: {CALLS // 4} calls")
        self.unreadable_one = self.unreadable_target()
        read, begin = self.bytes_read(), time.monotonic()
        self.attack(self.unreadable, "unreadable arguments refused")
        self.wait(lambda: self.counts["unreadable arguments refused"] >= 50, "refusals")
        each = (self.bytes_read() - read) // self.counts["unreadable arguments refused"]
        took = (time.monotonic() - begin) / self.counts["unreadable arguments refused"]
        if tuple(map(int, platform.release().split(".")[:2])) >= (6, 11):
            self.assertLess(each, 16384, "not all of /proc/PID/maps is read for each")

        self.attack(self.crowd, "all of the crowd sent", "listener of the crowd refused",
                    "large annotations refused")
        for text in ("listeners", "memory"):
            agent.says(f"uid {ATTACKER} has used up its share of {text}")
        # With the victim's: two descriptors for each listener, and half of it stays free.
        self.wait(lambda: len(self.manager.names()) == FDSTORE // 4, "the store's share")
        self.attack(self.same_listener, "same listener refused")
        agent.says("this listener is already served")
        self.attack(self.hanging, "hanging files sent")
        self.wait(lambda: agent.is_in(CLOSE), "a close that hangs")
        self.attack(self.strangers, "stranger turned away", "stranger let in",
                    uid=STRANGER)
        self.attack(self.coming_and_going, "connection made")
        self.attack(self.silent, "silent connection made")
        self.attack(self.many_descriptors, "many descriptors refused")
        self.attack(self.lingering, "lingering sockets sent")
        self.wait(lambda: agent.fds() >= DESCRIPTORS // 2, "the share of descriptors, full")
        self.advance("before")
        self.check_held(held)
        self.check_budget(first)
        self.assertEqual(len(self.manager.names()), FDSTORE // 4)

        times = []
        for number in range(VICTIM_CALLS):
            times.append(self.call_as_victim(victim, 7001 + number))
            if number % 25 == 0:
                another = self.new_victim()
                self.call_as_victim(another, 7000)
                another.close()
                self.check_budget(first)

        self.assertTrue(agent.is_in(CLOSE), "a close that hangs")
        self.advance("after")
        self.check_held(held)
        used = self.check_budget(first)
        self.assertEqual(self.counts["stranger let in"], 0)
        times.sort()
        print(f"     {self.counts.all()}\n     at first {first}, then {used}; a call with unreadable "
              f"arguments: {each} bytes read, {1000 * took:.1f} ms\n     the victim's calls: median "
              f"{1000 * times[len(times) // 2]:.1f}, longest {1000 * times[-1]:.1f} ms, load "
              f"{os.getloadavg()[0]:.0f}", flush=True)
        if os.environ.get("CLONE2_TIMED") == "1":
            self.assertLess(times[-1], 0.1)

        # Nothing is left of it.
        over = [*self.attackers, *(target.pid for target in (*held, self.unreadable_one))]
        for pid in over:
            os.kill(pid, signal.SIGKILL)
        self.files.end()
        for pid in over:
            os.waitpid(pid, 0)
        os.close(self.same)

        def is_over():
            last = self.use()
            return (last["descriptors"] <= first["descriptors"] and
                    last["threads"] <= first["threads"] + threads_of_loop and
                    last["timers"] <= last["threads"] and last["KiB"] < first["KiB"] + 4096)
        procs.wait_for(is_over, 120)
        print(f"     at last {self.use()}", flush=True)
        self.assertTrue(is_over(), f"from {first} to {self.use()}")
        self.call_as_victim(victim, 7000 + VICTIM_CALLS + 1)
        self.assertEqual(agent.end(), 0)


if __name__ == "__main__":
    harness.main()
