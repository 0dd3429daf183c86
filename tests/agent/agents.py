# SPDX-License-Identifier: MIT
"""Shared by the agent's tests: agents, peers that speak its protocol (or don't), supervised targets,
a stand-in for the service manager."""
import contextlib
import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402
import procs  # noqa: E402
import tracing  # noqa: E402

SHIM = harness.SHIM
EXAMPLES = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                         "..", "..", "examples"))
NR = 387

SYS_SECCOMP, PROCESS_VM_READV, TIMER_SETTIME = 317, 310, 223  # x86-64
NOTIF_RECV, NOTIF_SEND = 0xc0502100, 0xc0182101
SET_MODE_FILTER, NEW_LISTENER, WAIT_KILLABLE_RECV = 1, 8, 32
PR_SET_NO_NEW_PRIVS = 38
libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def user(uid):
    """Root as this user, for a while: what it creates is the user's."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def lingering_socket():
    """A socket whose last close waits for a peer that does not read, and that peer's listener."""
    server, client = socket.socket(), socket.socket()  # nothing that other users must import first
    server.bind(("127.0.0.1", 0))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    server.listen()
    client.connect(server.getsockname())
    client.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            client.send(b"x" * 65536)
    client.setblocking(True)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 600))
    return client, server


def install_filter(nr=NR, flags=0):
    """Installs the filter on this thread; returns its listener, or -errno."""
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, nr), (0x06, 0, 0, 0x7fc00000), (0x06, 0, 0, 0x7fff0000)]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(buffer))
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    fd = libc.syscall(SYS_SECCOMP, SET_MODE_FILTER, NEW_LISTENER | flags, program)
    return fd if fd >= 0 else -ctypes.get_errno()


def held_page():
    """A page behind userfaultfd(2), which is filled only on request: the descriptor, the
    address."""
    fd = libc.syscall(323, os.O_CLOEXEC)  # userfaultfd, x86-64
    assert fd >= 0
    fcntl.ioctl(fd, 0xc018aa3f, struct.pack("QQQ", 0xaa, 0, 0))  # UFFDIO_API
    libc.mmap.restype = ctypes.c_void_p
    page = libc.mmap(None, ctypes.c_size_t(4096), 3, 0x22, -1, ctypes.c_long(0))
    fcntl.ioctl(fd, 0xc020aa00, struct.pack("QQQQ", page, 4096, 1, 0))  # UFFDIO_REGISTER, missing
    return fd, page


#: Addresses that a target has made before it has its filter, for its later calls.
made_before = []


def clone_struct(flags, nr_pids):
    return struct.pack("QQIIIIQ", flags | signal.SIGCHLD, 0, nr_pids, 0, 0, 0, 0)


def state(fds=("seccompFd",), container="web", metadata=None, annotations=None, **more):
    """A container process state as bytes."""
    document = {"ociVersion": "1.0.2", "fds": list(fds), "pid": 4422,
                "state": {"ociVersion": "1.0.2", "id": container, "status": "creating",
                          "pid": 4422, "bundle": "/b", "annotations": annotations or {}}, **more}
    if metadata is not None:
        document["metadata"] = metadata
    return json.dumps(document).encode()


class Agent:
    """A running `clone2-supervise --listen`."""

    def __init__(self, case, *options, path=None, wait=True, env=None, name="agent", command=(),
                 **kw):
        self.case, self.name = case, name
        self.path = path or case.path(f"{name}.sock")
        self.child = subprocess.Popen(
            [*command, harness.SUPERVISE, "--listen", self.path, "-v", *options], text=True,
            stdin=subprocess.DEVNULL, stdout=open(case.path(f"{name}.out"), "a"),
            stderr=open(case.path(f"{name}.err"), "a"), env={**os.environ, **(env or {})}, **kw)
        self.pid = self.child.pid
        if wait:
            case.wait(lambda: "listening on" in self.err() or self.child.poll() is not None,
                      "the agent's start")
            case.assertIsNone(self.child.poll(), self.err())

    def err(self):
        return self.case.read(f"{self.name}.err")

    def says(self, text):
        """Waits until it has printed this on stderr."""
        self.case.wait(lambda: text in self.err() or self.child.poll() is not None,
                       f"{text!r} in:\n{self.err()}")
        self.case.assertIn(text, self.err())

    def end(self, number=signal.SIGTERM):
        """Its exit status after this signal."""
        self.child.send_signal(number)
        status = self.case.finish(self.child)
        self.case.assertEqual(self.case.read(f"{self.name}.out"), "", "nothing on stdout")
        return status

    def is_in(self, number):
        """Whether one of its threads is in this system call now."""
        return self.threads_in(number) > 0

    def threads(self):
        return len(tracing.tasks(self.pid))

    def threads_in(self, number):
        """How many of its threads are in this system call now."""
        return tracing.threads_in(self.pid, number)

    def reads_memory(self):
        """Whether one of its threads is reading a target's memory now."""
        return self.is_in(PROCESS_VM_READV)

    def data_kib(self):
        """Its anonymous memory."""
        with open(f"/proc/{self.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("RssAnon:"))

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def shim(self, *arguments, **kw):
        """Runs a program under clone2-shim to its end."""
        return harness.run([SHIM, "--socket", self.path, "--", *arguments], **kw)

    def serves(self):
        """Checks that a new peer gets a real call served."""
        result = self.shim(harness.CALL, "7000")
        self.case.expect(result, 0, out="pid 7000")

    def connect(self, timeout=60):
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.settimeout(timeout)
        peer.connect(self.path)
        self.case.addCleanup(peer.close)
        return peer

    def send(self, message, fds=()):
        """Connects and sends one message; returns the connection."""
        peer = self.connect()
        sent = socket.send_fds(peer, [message], list(fds))
        if sent < len(message):
            peer.sendall(message[sent:])
        return peer


def ended(peer):
    """Whether the agent closes this connection; returns what it said before."""
    text = b""
    while True:
        try:
            piece = peer.recv(4096)
        except ConnectionResetError:
            return text
        if not piece:
            return text
        text += piece


class Caller:
    """The test's end of a thread that calls clone2 on request."""

    def __init__(self, ours):
        self.ours = ours
        ours.settimeout(harness.RUN_SECONDS)

    def ask(self, *pids, flags=0):
        self.ours.sendall(b" ".join(b"%d" % number for number in (flags, *pids)))

    def ask_held(self):
        """Starts a call whose arguments can't be read: any reader waits."""
        self.ours.sendall(b"held")

    def hold_many(self, count):
        """Starts this many children, which each make such a call."""
        self.ours.sendall(b"processes held %d" % count)
        self.answer()

    def ask_later(self, *pids):
        """Starts a call whose arguments can't be read until the returned function is called."""
        self.ours.sendall(b" ".join(b"%d" % number for number in (-1, *pids)))
        message, fds, _, _ = socket.recv_fds(self.ours, 64, 1)
        page = ctypes.create_string_buffer(clone_struct(0, len(pids)), 4096)

        def fill():
            fcntl.ioctl(fds[0], 0xc028aa03,  # UFFDIO_COPY
                        struct.pack("QQQQq", int(message), ctypes.addressof(page), 4096, 0, 0))
            os.close(fds[0])
        return fill

    def answer(self):
        return int(self.ours.recv(64))

    def call(self, *pids, flags=0):
        """The child's pid, or -errno. The child sleeps until it is killed."""
        self.ask(*pids, flags=flags)
        return self.answer()

    def thread(self):
        """Adds a thread that calls to the target."""
        ours, theirs = socket.socketpair()
        socket.send_fds(self.ours, [b"thread"], [theirs.fileno()])
        theirs.close()
        caller = Caller(ours)
        caller.tid = caller.answer()
        return caller


def serve_caller(ours, nr):
    """The other end: makes calls on request."""
    while True:
        # Two C frames are enough for this: the call is fork-like, and the child ends at once.
        request, fds, _, _ = socket.recv_fds(ours, 4096, 1)
        if not request:
            return 0
        if request == b"held":
            libc.syscall(nr, ctypes.c_void_p(held_page()[1]), None)
            ours.sendall(b"%d" % -ctypes.get_errno())
            continue
        if request.startswith(b"processes held"):
            for _ in range(int(request.split()[2])):
                if os.fork() == 0:
                    libc.syscall(nr, ctypes.c_void_p(held_page()[1]), None)
                    os._exit(0)
            ours.sendall(b"1")
            continue
        if request.startswith(b"threads held"):
            for _ in range(int(request.split()[2])):
                threading.Thread(target=libc.syscall, daemon=True,
                                 args=(nr, ctypes.c_void_p(made_before[-1]), None)).start()
            ours.sendall(b"1")
            continue
        if request.startswith(b"unreadable"):
            while True:
                libc.syscall(nr, ctypes.c_void_p(made_before[-1]), None)
                ours.sendall(b"%d " % -ctypes.get_errno())
        if request == b"thread":
            theirs = socket.socket(fileno=fds[0])

            def serve():
                theirs.sendall(b"%d" % threading.get_native_id())
                serve_caller(theirs, nr)
            threading.Thread(target=serve, daemon=True).start()
            continue
        pids = [int(word) for word in request.split()]
        flags = pids.pop(0)
        array = (ctypes.c_int * max(1, len(pids)))(*pids)
        args = clone_struct(max(flags, 0), len(pids))
        if flags < 0:
            fd, page = held_page()
            socket.send_fds(ours, [b"%d" % page], [fd])
            args = ctypes.c_void_p(page)
        result = libc.syscall(nr, args, array)
        if result == 0:
            signal.pause()
            os._exit(0)
        ours.sendall(b"%d" % (result if result >= 0 else -ctypes.get_errno()))


class Target(Caller):
    """A process under its own filter, which calls clone2 on request. The test decides who gets its
    listener."""

    def __init__(self, case, nr=NR, before=None, flags=0):
        ours, theirs = socket.socketpair()
        super().__init__(ours)
        self.case = case
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                # Its end must not depend on descriptors of other targets.
                os.closerange(3, theirs.fileno())
                os.closerange(theirs.fileno() + 1, 1 << 16)
                if before:
                    before()
                status = self._child(theirs, nr, flags)
            finally:
                os._exit(status)
        theirs.close()
        message, fds, _, _ = socket.recv_fds(ours, 16, 1)
        case.assertEqual(message, b"here", "the filter was not installed")
        self.listener = fds[0]
        case.addCleanup(self.close)

    @staticmethod
    def _child(ours, nr, flags):
        listener = install_filter(nr, flags)
        if listener < 0:
            ours.sendall(b"refused")
            return 1
        while True:
            try:
                socket.send_fds(ours, [b"here"], [listener])
                break
            except OSError as error:  # the user's descriptors on their way: another test's, too
                if error.errno != errno.ETOOMANYREFS:
                    raise
                time.sleep(0.01)
        os.close(listener)
        return serve_caller(ours, nr)

    def give(self, agent, **kw):
        """Hands the listener to an agent, as a runtime does, and closes it."""
        peer = agent.send(state(**kw), [self.listener])
        self.forget()
        return peer

    def forget(self):
        if self.listener >= 0:
            os.close(self.listener)
        self.listener = -1

    def close(self):
        self.forget()
        self.ours.close()


class ServiceManager:
    """Receives an agent's notifications, keeps descriptors as systemd's FDSTORE does, and passes
    them to the next agent it starts."""

    def __init__(self, case):
        self.case = case
        self.path = case.path("notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.lock = threading.Lock()
        self.states, self.store, self.stop = [], [], False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        case.addCleanup(self._end)

    def _run(self):
        while not self.stop:
            if select.select([self.socket], [], [], 0.2)[0]:
                with self.lock:
                    self._take()

    def _take(self):
        """Everything sent so far."""
        while True:
            try:
                message, fds, _, _ = socket.recv_fds(self.socket, 4096, 8)
            except BlockingIOError:
                return
            for fd in fds:
                os.set_inheritable(fd, False)
            fields = dict(line.split("=", 1) for line in message.decode().split("\n"))
            self.states.append(message.decode())
            if fields.get("FDSTORE") == "1":
                self.store += [(fields["FDNAME"], fd) for fd in fds]
            elif fields.get("FDSTOREREMOVE") == "1":
                for name, fd in self.store:
                    if name == fields["FDNAME"]:
                        os.close(fd)
                self.store = [(n, fd) for n, fd in self.store if n != fields["FDNAME"]]

    def _end(self):
        self.stop = True
        self.thread.join()
        for _, fd in self.store:
            os.close(fd)
        self.store = []
        self.socket.close()

    def names(self):
        with self.lock:
            return sorted({name for name, _ in self.store})

    def notified(self, text):
        with self.lock:
            return any(text in message for message in self.states)

    def start(self, name, *options, sockets=(), path=None, before=None):
        """Starts an agent with the stored descriptors and `sockets`. `before` runs in the agent's
        process first; then nobody waits for the agent."""
        path = path or self.case.path("agent.sock")
        with self.lock:
            self._take()  # like systemd, read what a service has sent before handling its end
            passed = [("listen", s.fileno()) for s in sockets] + list(self.store)
        names = ":".join(n for n, _ in passed)
        fds = [fd for _, fd in passed]

        def place():
            # From 3 on, in this order; first move them out of each other's way.
            high = [os.dup2(fd, 1000 + i) for i, fd in enumerate(fds)]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)
                os.close(fd)
            os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)),
                              LISTEN_FDNAMES=names, NOTIFY_SOCKET=self.path)
            if before:
                before()
            os.execv(harness.SUPERVISE, [harness.SUPERVISE, "--listen", path, "-v", *options])

        return Started(self.case, name, place, wait=before is None, path=path)


class Started(Agent):
    """An agent started by a service manager."""

    def __init__(self, case, name, body, wait=True, path=None):
        self.case, self.name, self.path = case, name, path or case.path("agent.sock")
        self.pid = os.fork()
        if self.pid == 0:
            try:
                for number, file in ((1, "out"), (2, "err")):
                    os.dup2(os.open(case.path(f"{name}.{file}"),
                                    os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
                body()
            finally:
                os._exit(99)
        self.child = Forked(self.pid)
        if not wait:
            return
        case.wait(lambda: "listening on" in self.err() or self.child.poll() is not None,
                  "the agent's start")
        case.assertIsNone(self.child.poll(), self.err())


class Forked:
    """The part of subprocess.Popen that Agent needs."""
    stdin = stdout = stderr = None

    def __init__(self, pid):
        self.pid, self.status, self.args = pid, None, "agent"

    def poll(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def wait(self, seconds):
        if procs.wait_for(lambda: self.poll() is not None, seconds) is not True:
            raise subprocess.TimeoutExpired("agent", seconds)
        return self.status

    def send_signal(self, number):
        os.kill(self.pid, number)
