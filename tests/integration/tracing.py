# SPDX-License-Identifier: MIT
"""Holds processes and threads with ptrace(2) at the place that a test needs."""
import ctypes
import os
import signal

SYSCALL, DETACH, SEIZE, INTERRUPT = 24, 17, 0x4206, 0x4207
O_TRACESYSGOOD, O_TRACECLONE = 1, 8
WALL = 0x40000000
PIDFD_GETFD = 438

_ptrace = ctypes.CDLL(None, use_errno=True).ptrace


def _request(request, tid, data=0):
    if _ptrace(request, ctypes.c_int(tid), None, ctypes.c_long(data)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace({request:#x}, {tid}): {os.strerror(number)}")


def hold(tid, options=0):
    """Stops one thread. No SIGCONT ends the stop, only let_go(). The thread takes no signals."""
    _request(SEIZE, tid, options)
    _request(INTERRUPT, tid)
    os.waitpid(tid, WALL)


def let_go(tid, number=0):
    _request(DETACH, tid, number)


def _signal(status):
    """The signal that a stop is about to deliver, or 0."""
    number = os.WSTOPSIG(status)
    return number if status >> 16 == 0 and number & 0x7f != signal.SIGTRAP else 0


def tasks(pid):
    return [int(name) for name in os.listdir(f"/proc/{pid}/task")]


def system_call(pid, tid):
    """The number of the call that this thread is in, as text; "running" if it is in none."""
    with open(f"/proc/{pid}/task/{tid}/syscall") as file:
        return file.read().split()[0]


def threads_in(pid, number):
    """How many threads of this process are in this system call now."""
    found = 0
    for tid in tasks(pid):
        try:
            found += system_call(pid, tid) == str(number)
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended
    return found


def arguments(pid, tid):
    """The arguments of that call."""
    with open(f"/proc/{pid}/task/{tid}/syscall") as file:
        return [int(word, 16) for word in file.read().split()[1:7]]


def sockets(pid):
    """The numbers of its descriptors of sockets."""
    directory = f"/proc/{pid}/fd"
    return [int(fd) for fd in os.listdir(directory)
            if os.readlink(f"{directory}/{fd}").startswith("socket:")]


def duplicate(pid, fd):
    """Another process's descriptor, in this one."""
    pidfd = os.pidfd_open(pid)
    own = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, pidfd, fd, 0)
    os.close(pidfd)
    if own < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return own


class Before:
    """Runs a process until one of its threads enters this system call, and holds it there until
    let_go(). With `first`, `second`: the call with these arguments. With `after`: only after so many
    other such calls. Leaves threads that are in the call `sleeping` alone."""

    def __init__(self, pid, number, sleeping=None, first=None, second=None, after=0):
        self.pid, self.number, self.wanted = pid, str(number), (first, second)
        self.stops_to_pass = 2 * after  # at the entry and at the exit
        self.traced = {}
        seen = set()
        # A thread that is not held yet may create another one.
        while new := set(tasks(pid)) - seen:
            seen |= new
            for tid in new:
                try:
                    if system_call(pid, tid) != str(sleeping):
                        hold(tid, O_TRACESYSGOOD | O_TRACECLONE)
                        self.traced[tid] = 0
                except (FileNotFoundError, ProcessLookupError):
                    continue  # it has ended
        self._go_on(list(self.traced))

    def _go_on(self, tids):
        for tid in tids:
            _request(SYSCALL, tid, self.traced[tid])
            self.traced[tid] = None

    def reached(self):
        """Looks once; for a loop that waits."""
        for tid in tasks(self.pid):
            try:
                found, status = os.waitpid(tid, WALL | os.WNOHANG)
            except ChildProcessError:
                continue  # a thread that was left alone
            if found == 0:
                continue
            if not os.WIFSTOPPED(status):
                self.traced.pop(tid)
                continue
            self.traced[tid] = _signal(status)
            if system_call(self.pid, tid) == self.number and self._is_wanted(tid):
                self.at = tid
                return True
            self._go_on([tid])
        return False

    def _is_wanted(self, tid):
        passed = arguments(self.pid, tid)
        if any(want not in (None, got) for want, got in zip(self.wanted, passed)):
            return False
        self.stops_to_pass -= 1
        return self.stops_to_pass < 0

    def finish_call(self):
        """Lets the thread that was reached run to the end of that call, and holds it there."""
        _request(SYSCALL, self.at)
        os.waitpid(self.at, WALL)

    def let_go_others(self):
        """Holds only the thread that was reached."""
        self._let_go({tid: self.traced[tid] for tid in self.traced if tid != self.at})
        self.traced = {self.at: self.traced[self.at]}

    def let_go(self):
        self._let_go(self.traced)

    @staticmethod
    def _let_go(traced):
        for tid, number in traced.items():
            try:
                if number is None:
                    _request(INTERRUPT, tid)
                    number = _signal(os.waitpid(tid, WALL)[1])
                let_go(tid, number)
            except ProcessLookupError:
                continue  # it has ended
