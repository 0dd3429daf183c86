#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Everything at once, at random: supervisors are killed while targets of all kinds call, exec, create
threads and namespaces, get signals, are stopped and continued. No target may see a wrong result,
crash, hang or leave a process behind.

  python3 tests/chaos/chaos.py [--mode wrapper|agent|all] [--seconds S | --kills N]
                                [--seed SEED] [--jobs J] [--first N]

Ends after S seconds (60) or when N processes of supervisors have been killed. `all` uses one half for
wrappers and the other for agents, which a service manager replaces. All decisions follow from the seed,
which is printed; session N of a seed always does the same, at moments that depend on the machine. A
failure prints the command that repeats it from that session on, and the directory of its files.

The programs are those in `build`, or those named by CLONE2_SUPERVISE and the like (see
tests/integration/harness.py). With `CLONE2_SUPERVISE=build-asan/supervisor/clone2-supervise` a
sanitizer's report is a failure, too. Creates its own pid namespace and needs root.
"""
import argparse
import os
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import agent  # noqa: E402
import harness  # noqa: E402
import wrapper  # noqa: E402


class Run:
    """Runs one session after another on several threads, until the limit is reached."""

    def __init__(self, arguments, mode, share):
        self.mode, self.make = mode, {"wrapper": wrapper.Session, "agent": agent.Session}[mode]
        self.seed, self.kills_wanted = arguments.seed, arguments.kills // share
        self.jobs = arguments.jobs
        self.end = time.monotonic() + arguments.seconds / share
        self.directory = tempfile.mkdtemp(prefix="clone2-chaos.")
        os.chmod(self.directory, 0o755)
        self.io_uring = ["--event-loop", "io_uring"] if harness.has_io_uring() else []
        self.lock = threading.Lock()
        self.next, self.sessions = arguments.first, 0
        self.kills = self.calls = self.unanswered = 0
        self.failures = []

    def _take(self):
        with self.lock:
            enough = (self.kills >= self.kills_wanted if self.kills_wanted
                      else time.monotonic() >= self.end)
            if enough or self.failures:
                return None
            self.next += 1
            return self.next - 1

    def work(self):
        while (number := self._take()) is not None:
            session = self.make(self, number)
            failure = None
            try:
                session.run()
            except Exception as error:  # noqa: BLE001 - any error is this session's failure
                failure = (number, f"{type(error).__name__}: {error}")
            with self.lock:
                self.sessions += 1
                self.kills += session.kills
                self.calls += session.calls
                self.unanswered += session.unanswered
                if failure:
                    self.failures.append(failure)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=["wrapper", "agent", "all"], default="all")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("CLONE2_SEED")
                                                        or time.time_ns() % 1000000))
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--first", type=int, default=0)
    return parser.parse_args()


def perform(arguments, mode, share):
    run = Run(arguments, mode, share)
    began = time.monotonic()
    threads = [threading.Thread(target=run.work) for _ in range(run.jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{mode}: {run.sessions} sessions, {run.kills} kills, {run.calls} calls, {run.unanswered} "
          f"ENOSYS in {time.monotonic() - began:.0f} s", flush=True)
    # Otherwise nothing was tested: most calls before the kill succeed, and some are hit by it.
    if not run.failures and not run.calls > run.unanswered > 0:
        run.failures.append((arguments.first, "too few calls"))
    for number, text in run.failures:
        print(f"FAIL {text}\n     its files: {run.directory}/{mode[0]}{number}")
        print(f"     repeat: {sys.executable} {os.path.abspath(__file__)} --mode {mode} "
              f"--seed {run.seed} --first {number} --jobs {run.jobs} --kills 1000", flush=True)
    if not run.failures:
        shutil.rmtree(run.directory)
    return run.sessions - len(run.failures), len(run.failures)


def main():
    arguments = parse()
    harness.own_namespace()
    print(f"seed {arguments.seed}", flush=True)
    modes = ["wrapper", "agent"] if arguments.mode == "all" else [arguments.mode]
    results = [perform(arguments, mode, len(modes)) for mode in modes]
    passed, failed = map(sum, zip(*results))
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
