# SPDX-License-Identifier: MIT
"""The targets of the chaos test. Each gives its own verdict."""
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402
import procs  # noqa: E402

EXEC = os.path.normpath(os.environ.get("CLONE2_CHAOS_EXEC")
                        or os.path.join(harness.BUILD, "tests/chaos/clone2-chaos-exec"))
NEW_PID_NAMESPACE = 0x20000000 | signal.SIGCHLD

PATIENCE = 150  # seconds: anything that takes longer has hung (`endure` itself gives up after 60)

# Signals that no process may die of.
CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT,
           signal.SIGTRAP, signal.SIGSYS}
# What no supervisor and no target may print.
ALARMING = re.compile(r"Sanitizer|runtime error:|terminate called|FAIL|wrong result|stack smashing")


class Failure(AssertionError):
    pass


def _environment(p):
    """The command line it was executed with. Briefly empty during `exec`."""
    for _ in range(200):
        try:
            with open(f"/proc/{p.pid}/environ", "rb") as file:
                text = file.read()
        except OSError:
            return []
        if text or not procs.alive(p.pid):
            return text.split(b"\0")
        time.sleep(.005)
    return []


def members(mark):
    """The live processes whose environment has this mark."""
    return [p for p in procs.everything() if not p.ended and mark in _environment(p)]


def all_gone(mark):
    """Whether no process with this mark is left. One look misses a process whose parent has made it
    since the list was read, and has ended since."""
    return all(not members(mark) for _ in range(3))


def is_target(p):
    """Whether it has got past the supervisor and clone2-shim."""
    try:
        return os.path.realpath(f"/proc/{p.pid}/exe") not in (
            os.path.realpath(harness.SUPERVISE), os.path.realpath(harness.SHIM))
    except OSError:
        return False


def send(p, number):
    """Whether it still existed."""
    try:
        os.kill(p.pid, number)
        return True
    except ProcessLookupError:
        return False


def end_all(mark):
    while not all_gone(mark):
        for p in members(mark):
            send(p, signal.SIGKILL)
        time.sleep(.01)


def disturb(rng, mark, target, note=lambda what: None):
    """Does something that no target minds, and notes it; returns the processes that are left
    stopped."""
    # Drawn in any case: later choices must not depend on timing.
    what, which = rng.choice(["none", "signals", "stop", "leave stopped"]), rng.random()
    number, count = rng.choice(target.signals), rng.randint(1, 30)
    found = [p for p in members(mark) if is_target(p)]
    if what == "none" or not found:
        return []
    p = found[int(which * len(found))]
    if what == "signals":
        # A shell or unshare(1) doesn't handle the signals that clone2-call handles.
        if p.comm == "clone2-call" or number in (signal.SIGWINCH, signal.SIGURG):
            for _ in range(count):
                send(p, number)
        return []
    note(f"{what}: {p.pid}, {p.comm}")
    send(p, signal.SIGSTOP)
    if what == "leave stopped":
        return [p]
    time.sleep(which / 100)
    send(p, signal.SIGCONT)
    note(f"{p.pid} continued")
    return []


def evidence(mark, target):
    """Where its remaining processes hang, and what it has printed."""
    lines = []
    found = members(mark)
    # Zombies, and who is about to end, have no environment.
    pids, sessions = {p.pid for p in found}, {p.session for p in found}
    found += [p for p in procs.everything() if p.session in sessions and p.pid not in pids]
    for p in found:
        lines.append(repr(p))
        try:
            for task in os.listdir(f"/proc/{p.pid}/task"):
                with open(f"/proc/{p.pid}/task/{task}/stack") as file:
                    lines.append(f"  {task}: " + " ".join(w.split()[1].split("+")[0] for w in file))
        except OSError:
            pass
    return [*lines, "stdout: " + target.read("out")[-2000:], "stderr: " + target.read("err")[-2000:]]


class Target:
    """One of the kinds below, chosen by `rng`; its files are in `directory`.

    `returns`: a supervisor that is gone comes back."""

    def __init__(self, rng, directory, returns=False):
        self.directory = directory
        self.returns = returns
        self.counters_file = os.path.join(directory, "counters")
        self.ends = True        # by itself
        self.endures = False    # prints `endure`'s output
        self.threads = 1        # that call at once
        self.single = False     # one process, one thread: its size can be compared
        self.signals = [signal.SIGWINCH, signal.SIGURG]  # signals that may be sent to it
        self.kind = rng.choice(["endure", "endure", "threads", "exec", "exec", "call", "namespace",
                                "nested", "short"])
        self.seconds = rng.randint(1, 3)
        self.argv = getattr(self, "_" + self.kind)(rng)

    def _endure(self, rng, threads=1):
        self.endures = True
        self.threads = threads
        more = ["returns"] if self.returns else []
        return [harness.CONFORMANCE, "endure", str(self.seconds), str(threads), *more]

    def _threads(self, rng):
        return self._endure(rng, rng.randint(2, 8))

    def _exec(self, rng):
        self.threads = rng.randint(1, 6)
        return [EXEC, self.counters_file, str(self.seconds), str(self.threads)]

    def _call(self, rng, *more):
        self.ends, self.single = False, True
        self.signals += [signal.SIGUSR1, signal.SIGUSR2]
        return [harness.CALL, "-q", "-s", "-r", "0", "-o", self.counters_file, *more]

    def _namespace(self, rng):
        return self._call(rng, "-f", str(NEW_PID_NAMESPACE))

    def _nested(self, rng):
        self.ends = False
        return ["unshare", "--pid", "--fork", "--kill-child", harness.CALL, "-q", "-r", "0", "-o",
                self.counters_file, "0", str(rng.randint(1000, 30000))]

    def _short(self, rng):
        """Processes that come and go."""
        self.ends = False
        return ["sh", "-c", f'while :; do "{harness.CALL}" -q -r 3 -o "$0.$$" || [ $? = 1 ] || '
                f'echo "wrong result"; done', self.counters_file]

    def read(self, name):
        try:
            with open(os.path.join(self.directory, name), errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def end(self, process, number):
        """Sends a process of this target a signal that ends it. unshare(1)'s child is an init: if
        unshare(1) was killed too early to take it along, only SIGKILL ends it."""
        send(process, signal.SIGKILL if self.kind == "nested" else number)

    def counters(self):
        """Calls, failures, ENOSYS; None: this kind has none, or none yet."""
        return harness.counters(self.counters_file)

    def check_files(self):
        """Nothing written or counted is alarming."""
        for name in ("out", "err"):
            text = self.read(name)
            if ALARMING.search(text):
                raise Failure(f"std{name}: {text[-3000:]}")
        counted = self.counters()
        if counted and counted[1] != counted[2]:
            raise Failure(f"{counted[1]} failures, of which only {counted[2]} are ENOSYS")

    def calls_of_endure(self):
        """Calls and ENOSYS as `endure` has printed them; None: it has not."""
        found = re.search(r"endure: (\d+) calls, (\d+) ENOSYS", self.read("out"))
        return (int(found.group(1)), int(found.group(2))) if found else None
