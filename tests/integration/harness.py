# SPDX-License-Identifier: MIT
"""Shared by all integration tests: a pid namespace per test file, the wrapper, visible skips.

A test file ends with `if __name__ == "__main__": harness.main()`. Environment (meson sets it):
  CLONE2_SUPERVISE, CLONE2_LAUNCHER, CLONE2_CALL, CLONE2_CALL_STATIC, CLONE2_REFUSE, CLONE2_CONFORMANCE,
  CLONE2_CONFORMANCE_STATIC, CLONE2_PRELOAD, CLONE2_LIBDIR
  CLONE2_MUST_RUN=1   a skip is a failure, unless
  CLONE2_ABSENT="a b" names its feature as known to be absent here.
Arguments: names of tests (Class.test_name or test_name); only these run.
"""
import errno
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import traceback
import unittest

import procs

BUILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build")


def _path(variable, default):
    return os.path.normpath(os.environ.get(variable) or os.path.join(BUILD, default))


SUPERVISE = _path("CLONE2_SUPERVISE", "supervisor/clone2-supervise")
SHIM = _path("CLONE2_LAUNCHER", "shim/launcher/clone2-shim")
PRELOAD = _path("CLONE2_PRELOAD", "shim/libclone2.so.1")
LIBDIR = os.environ.get("CLONE2_LIBDIR") or "lib/x86_64-linux-gnu"    # below the prefix
CALL = _path("CLONE2_CALL", "tests/integration/clone2-call")
REFUSE = _path("CLONE2_REFUSE", "tests/integration/clone2-refuse")
CALL_STATIC = _path("CLONE2_CALL_STATIC", "tests/integration/clone2-call-static")
CONFORMANCE = _path("CLONE2_CONFORMANCE", "tests/conformance/clone2-conformance")
CONFORMANCE_STATIC = _path("CLONE2_CONFORMANCE_STATIC",
                           "tests/conformance/clone2-conformance-static")

PYTHON = sys.executable
NOBODY = 65534
RUN_SECONDS = 60    # a single command that takes longer has hung


class Run:
    """A finished command: its status as subprocess reports it (-N: died of signal N), and its
    output."""

    def __init__(self, argv, status, out, err):
        self.argv, self.status, self.out, self.err = argv, status, out, err

    def __str__(self):
        return (f"{' '.join(map(str, self.argv))}\n  status {self.status}\n"
                f"  stdout {self.out[-2000:]!r}\n  stderr {self.err[-2000:]!r}")


class Hang(AssertionError):
    """Something did not end in time. Carries the process table at that moment."""

    def __init__(self, what):
        super().__init__(f"{what}\n{procs.table()}")


def run(argv, timeout=RUN_SECONDS, input=None, **kw):
    """Runs a command until its *output* ends, as $(...) does: a background process that keeps
    stdout open counts as a hang."""
    kw.setdefault("stdin", subprocess.PIPE if input is not None else subprocess.DEVNULL)
    kw.setdefault("stdout", subprocess.PIPE)
    kw.setdefault("stderr", subprocess.PIPE)
    child = subprocess.Popen([str(a) for a in argv], text=True, errors="replace", **kw)
    try:
        out, err = child.communicate(input, timeout)
    except subprocess.TimeoutExpired:
        raise Hang(f"no end within {timeout} s: {' '.join(map(str, argv))}") from None
    return Run(argv, child.returncode, out or "", err or "")


def is_root():
    """Real root: in the initial user namespace, not in one created for this test."""
    with open("/proc/self/uid_map") as f:
        return os.geteuid() == 0 and f.read().split() == ["0", "0", "4294967295"]


def accepts(path):
    """Whether connections are accepted at this socket. Its file is there before."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    return True


def refusing(*rules):
    """The beginning of a command line: a filter with these rules, as NUMBER=ERRNO."""
    return [REFUSE, *rules, "--"]


def supervise(*arguments, **kw):
    return run([SUPERVISE, *arguments], **kw)


def counters(path):
    """What clone2-call and clone2-chaos-exec count in a file: calls, failures, and how many of these
    were ENOSYS. None: nothing yet."""
    try:
        with open(path, "rb") as file:
            calls_made, others, unanswered = struct.unpack("3Q", file.read(24))
    except (FileNotFoundError, struct.error):
        return None
    return calls_made, others + unanswered, unanswered


def has_io_uring():
    return supervise("--check=io_uring").status == 0


def calls(text):
    """The results that clone2-call printed: a pid, or an errno's name."""
    results = []
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["pid"]:
            results.append(int(words[1]))
        elif words[:1] == ["errno"]:
            results.append(errno.errorcode[int(words[1])])
        elif words[:2] == ["wrong", "result"]:
            results.append("WRONG")
    return results


class Case(unittest.TestCase):
    """Each test gets a directory `self.tmp` and a time limit; processes it left behind are
    ended."""

    limit = 180  # seconds: a test that takes longer has hung

    def setUp(self):
        self.tmp = tempfile.mkdtemp(prefix="clone2-int.")
        os.chmod(self.tmp, 0o755)
        self.addCleanup(shutil.rmtree, self.tmp, ignore_errors=True)
        self.addCleanup(self._end_processes)
        signal.signal(signal.SIGALRM, self._too_long)
        signal.alarm(self.limit)

    def subTest(self, *args, **kw):
        signal.alarm(self.limit)  # each of them may take so long
        return super().subTest(*args, **kw)

    def _too_long(self, _signum, _frame):
        signal.alarm(5)  # again, in case the test catches it
        raise Hang(f"the test took more than {self.limit} s")

    def _end_processes(self):
        signal.alarm(0)
        # This pid namespace contains only processes that this test started.
        stuck = procs.end_all()
        if stuck:
            self.fail(f"processes that SIGKILL does not end:\n{stuck}")

    def need(self, feature, present, why=""):
        """Skips the test, by the feature's name, if the feature is absent."""
        if not present:
            self.skipTest(f"{feature}: {why or 'not here'}")

    def need_root(self):
        self.need("root", is_root(), "needs root of the initial user namespace")

    def need_command(self, name):
        self.need(name, shutil.which(name), "command not installed")

    def need_file(self, feature, path):
        self.need(feature, os.access(path, os.X_OK), f"{path} does not exist")

    def path(self, name):
        return os.path.join(self.tmp, name)

    def read(self, name):
        try:
            with open(self.path(name), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def wait(self, condition, what, seconds=RUN_SECONDS):
        value = procs.wait_for(condition, seconds)
        if not value:
            raise Hang(f"waited {seconds} s for: {what}")
        return value

    def fifo_in_use(self, path):
        """Waits until something reads this FIFO, and then for what is written to the returned
        file."""
        def writer():
            try:
                return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                self.assertEqual(error.errno, errno.ENXIO)  # no reader
                return None
        return os.fdopen(self.wait(writer, f"a reader of {path}"), "w")

    def expect(self, result, status=0, out=None, err=None):
        """Asserts that `result` ended with this status and that its output contains these texts."""
        self.assertEqual(result.status, status, result)
        if out is not None:
            self.assertIn(out, result.out, result)
        if err is not None:
            self.assertIn(err, result.err, result)
        return result

    def public_copy(self, path):
        """A copy that every user can run, since the build may be below a private home."""
        target = self.path(os.path.basename(path))
        shutil.copy(path, target)
        os.chmod(target, 0o755)
        return target

    def start(self, *argv, **kw):
        """Starts a command; only the test (or its end) waits for it."""
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("stdout", subprocess.DEVNULL)
        kw.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen([str(a) for a in argv], text=True, errors="replace", **kw)

    def finish(self, child, seconds=RUN_SECONDS):
        """Returns the status of a started command."""
        try:
            return child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Hang(f"no end within {seconds} s: {child.args}") from None
        finally:
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream:
                    stream.close()


class Report(unittest.TestResult):
    """Prints `ok|FAIL|skip NAME` lines as tests end; no skip is silent."""

    def __init__(self):
        super().__init__()
        self.passed, self.failed, self.skipped_tests = 0, 0, 0
        self._problems, self._skip = [], None

    def startTest(self, test):
        super().startTest(test)
        self._problems, self._skip = [], None

    def _problem(self, error):
        kind, value, trace = error
        while trace and "__unittest" in trace.tb_frame.f_globals:
            trace = trace.tb_next
        lines = traceback.format_exception(kind, value, trace)
        self._problems.append("".join(lines).rstrip())

    def addError(self, test, err):
        if not hasattr(test, "_testMethodName"):  # setUpClass or an import failed
            self._problems = []
            self._problem(err)
            self._print_failure(str(test))
            return
        self._problem(err)

    def addFailure(self, test, err):
        self._problem(err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._problems.append(f"in {subtest._subDescription()}")
            self._problem(err)

    def addSkip(self, test, reason):
        self._skip = reason

    def stopTest(self, test):
        super().stopTest(test)
        name = f"{type(test).__name__}.{test._testMethodName}"
        if self._skip is not None and os.environ.get("CLONE2_MUST_RUN") == "1":
            feature = self._skip.split(":")[0]
            absent = os.environ.get("CLONE2_ABSENT", "").replace(",", " ").split()
            if feature not in absent:
                self._problems.append(f"skipped, but CLONE2_MUST_RUN=1: {self._skip}")
        if self._problems:
            self._print_failure(name)
        elif self._skip is not None:
            self.skipped_tests += 1
            print(f"skip {name} ({self._skip})", flush=True)
        else:
            self.passed += 1
            print(f"ok   {name}", flush=True)

    def _print_failure(self, name):
        self.failed += 1
        print(f"FAIL {name}")
        for problem in self._problems:
            print("     " + problem.replace("\n", "\n     "))
        variables = [f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith("CLONE2_")
                     and k != "CLONE2_TEST_NAMESPACE"]
        print("     repeat:", *variables, sys.executable, os.path.abspath(sys.argv[0]), name,
              flush=True)


def _enter_namespace():
    """Replaces this process by itself in a new pid namespace: chosen pids are free there, and
    everything that a test leaves behind ends with it."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        unshare.insert(1, "--map-root-user")
    probe = subprocess.run([*unshare, "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        print(f"skip all (pidns: {probe.stderr.strip()})")
        sys.exit(1 if os.environ.get("CLONE2_MUST_RUN") == "1" else 77)
    os.environ["CLONE2_TEST_NAMESPACE"] = "1"
    os.execvp("unshare", [*unshare, sys.executable, *sys.argv])


def _be_init():
    """Pid 1 of the namespace: reaps orphans and ends with the tests' status."""
    child = os.fork()
    if child == 0:
        return
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _forget_ignored():
    """A caller may ignore signals, as nohup(1) does. Programs under test would inherit that."""
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:  # Python's own
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def _leave_low_pids_free():
    """Without this, automatic pids would one day arrive at those that tests choose, 7000 for
    example."""
    try:
        with open("/proc/sys/kernel/ns_last_pid", "w") as file:
            file.write("20000")
    except OSError:
        pass  # the kernel can't (CONFIG_CHECKPOINT_RESTORE), or has not so many


def own_namespace():
    """Returns in a child of the init of a new pid namespace."""
    _forget_ignored()
    if os.environ.get("CLONE2_TEST_NAMESPACE") != "1":
        _enter_namespace()
    if os.getpid() == 1:
        _leave_low_pids_free()
        _be_init()
    if not os.access(SUPERVISE, os.X_OK):
        print(f"{SUPERVISE}: missing; build it or set CLONE2_SUPERVISE")
        sys.exit(99)


def main():
    own_namespace()
    loader, wanted = unittest.TestLoader(), sys.argv[1:]
    suite = loader.loadTestsFromModule(sys.modules["__main__"])
    tests = [t for group in suite for t in group
             if not wanted or t._testMethodName in wanted
             or f"{type(t).__name__}.{t._testMethodName}" in wanted]
    report = Report()
    unittest.TestSuite(tests).run(report)
    print(f"{report.passed} passed, {report.failed} failed, {report.skipped_tests} skipped",
          flush=True)
    nothing_ran = report.passed + report.failed == 0
    sys.exit(1 if report.failed else 77 if nothing_ran and report.skipped_tests else
             99 if nothing_ran else 0)
