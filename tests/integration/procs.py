# SPDX-License-Identifier: MIT
"""Finds processes through /proc, and ends those of a test."""
import os
import signal
import time

COMMAND, SERVE, REAP = "clone2-supervis", "clone2-serve", "clone2-reap"


class Proc:
    """One line of /proc/PID/stat. Functions that return one return None if the process is gone."""

    def __init__(self, pid, text):
        self.pid = pid
        self.comm = text[text.index("(") + 1:text.rindex(")")]
        rest = text[text.rindex(")") + 2:].split()
        self.state = rest[0]
        self.flags = int(rest[6])
        self.ppid, self.pgrp, self.session, _, self.tpgid = map(int, rest[1:6])
        self.ticks = int(rest[11]) + int(rest[12])  # utime + stime
        # A leader that has ended is a zombie until all other threads have ended. They keep its
        # descriptors open.
        self.ended = self.state == "X" or self.state == "Z" and int(rest[17]) <= 1

    def __repr__(self):
        return (f"{self.pid:6} {self.ppid:6} {self.pgrp:6} {self.session:6} {self.state} "
                f"{self.comm:16} {_line(self.pid, 'wchan')} {_line(self.pid, 'syscall')}")


def _line(pid, name):
    try:
        with open(f"/proc/{pid}/{name}") as f:
            return f.read().strip()
    except OSError:
        return "-"


def get(pid):
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as f:
            return Proc(pid, f.read())
    except (FileNotFoundError, ProcessLookupError):
        return None


def everything():
    found = (get(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [p for p in found if p]


def table():
    return "\n".join(["   pid   ppid   pgrp    sid S comm             wchan syscall"]
                     + [repr(p) for p in sorted(everything(), key=lambda p: p.pid)])


def named(comm):
    """The processes with this name that have not ended."""
    return [p for p in everything() if p.comm == comm and not p.ended]


def ancestors(pid):
    """From the parent upwards."""
    chain, p = [], get(pid)
    while p and p.ppid:
        p = get(p.ppid)
        if p:
            chain.append(p)
    return chain


def status(pid):
    """/proc/PID/status as a dictionary."""
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def alive(pid):
    p = get(pid)
    return bool(p) and not p.ended


def has_stopped(pid):
    """Whether all its threads have stopped. After a SIGSTOP some may still run for a while."""
    return all(p is None or p.state in "TZX"
               for p in (get(f"{pid}/task/{tid}") for tid in os.listdir(f"/proc/{pid}/task")))


def is_exiting(pid):
    """Whether the process is exiting (PF_EXITING) or gone."""
    p = get(pid)
    return not p or bool(p.flags & 4)


def wait_for(condition, seconds):
    """Polls; returns the last value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(0.01)


def _others():
    mine = {1, os.getpid()}
    return [p for p in everything() if p.pid not in mine and p.ppid != 0]


def end_all(seconds=20):
    """Sends SIGKILL, by pid, to every process of this namespace except its init and this one, until
    none is left. Returns a table of those that did not end."""
    assert get(1).comm.startswith("python"), "not in a namespace of our own"
    deadline = time.monotonic() + seconds
    while True:
        left = _others()
        for p in left:
            try:
                os.kill(p.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        if not left:
            return ""
        if time.monotonic() > deadline:
            return "\n".join(map(repr, left))
        time.sleep(0.01)


def rss_kib(pid):
    return int(status(pid)["VmRSS"].split()[0])


def own_pid_max():
    """Whether each pid namespace has its own pid_max."""
    return tuple(int(n) for n in os.uname().release.split("-")[0].split(".")[:2]) >= (6, 14)
