# SPDX-License-Identifier: MIT
"""An agent takes over what its predecessor left in targets: calls in progress, code, data.

An agent is replaced while a call is at a certain place. CLONE2_RESTART_ROUNDS sets how often agents
are replaced under load; CLONE2_SEED repeats the same choices."""
import errno
import os
import random
import re
import resource
import signal
import subprocess
import time

import agents
import harness
import procs
import tracing
from agents import ServiceManager, Target

ROUNDS = int(os.environ.get("CLONE2_RESTART_ROUNDS", "12"))
CLONE_VM, CLONE_VFORK = 0x100, 0x4000
CLONE3 = 435  # x86-64
ENDS = (signal.SIGTERM, signal.SIGKILL)


def vm_size(pid):
    """In KiB."""
    return int(procs.status(pid)["VmSize"].split()[0])


def children(pid):
    return [p.pid for p in procs.everything() if p.ppid == pid and not p.ended]


def threads_of(pids):
    """Where each thread of these processes is."""
    return "\n".join(repr(procs.get(tid)) for pid in pids for tid in tracing.tasks(pid))


def in_each_way(test):
    """Runs it for each way in which an agent may end, with agents that keep a log and without."""
    def run(self):
        for number in ENDS:
            for log in (False, True):
                with self.subTest(number=number, log=log):
                    try:
                        self.next_agent(log)
                        test(self, number, log)
                    finally:
                        procs.end_all()
                        self.manager._end()
                        os.unlink(self.manager.path)
                        self.manager = ServiceManager(self)
    return run


class Successor(harness.Case):
    def setUp(self):
        super().setUp()
        self.manager = ServiceManager(self)
        self.generation = 0

    def next_agent(self, log=False):
        self.generation += 1
        options = ["--log", self.path("log")] if log else []
        self.agent = self.manager.start(f"a{self.generation}", *options)

    def replace(self, number, log=False):
        self.agent.end(number)
        self.next_agent(log)

    def target(self):
        self.need_root()  # userfaultfd(2) for the kernel's own reads
        # Stopping the target must not cancel its call once the agent has received it.
        target = Target(self, flags=agents.WAIT_KILLABLE_RECV)
        target.give(self.agent).close()
        self.wait(self.manager.names, "the store")
        return target

    def stop_inside(self, target, *pids):
        """A call that is stopped at the first instruction of the agent's code in the target, by a
        SIGSTOP sent after the agent had received the call."""
        fill = target.ask_later(*pids)
        self.wait(self.agent.reads_memory, "the agent's attempt to read")
        os.kill(target.pid, signal.SIGSTOP)
        fill()
        self.wait(lambda: procs.get(target.pid).state == "T", "the stop")
        with open(f"/proc/{target.pid}/syscall") as file:
            at = int(file.read().split()[-1], 16)
        with open(f"/proc/{target.pid}/maps") as file:
            vdso = next(line for line in file if line.endswith("[vdso]\n")).split()[0]
        begin, end = (int(word, 16) for word in vdso.split("-"))
        self.assertTrue(begin <= at < end, f"{at:#x} is not in {vdso}")

    @in_each_way
    def test_vfork_like_call_in_progress(self, number, log):
        caller = self.start(agents.SHIM, "--socket", self.agent.path, harness.CALL, "-H", "-f",
                            CLONE_VM | CLONE_VFORK | signal.SIGCHLD, "7000",
                            stdin=subprocess.PIPE, stdout=open(self.path("out"), "w"))
        self.wait(lambda: procs.alive(7000), "the child")
        self.wait(lambda: tracing.system_call(caller.pid, caller.pid) == str(CLONE3), "clone3")
        self.replace(number, log)
        os.kill(7000, signal.SIGKILL)
        self.wait(lambda: self.read("out"), "the call's end")
        self.wait(lambda: procs.get(7000).state == "Z", "the child's end")
        self.assertEqual(children(caller.pid), [])
        caller.stdin.close()
        self.assertEqual(self.finish(caller), 0)
        self.assertEqual(self.read("out"), "pid 7000 status 0\n")
        self.assertEqual(procs.named("clone2-call"), [])

    @in_each_way
    def test_before_clone3(self, number, log):
        target = self.target()
        self.assertEqual(target.call(7000), 7000)
        self.stop_inside(target, 7001)
        self.replace(number, log)
        os.kill(target.pid, signal.SIGCONT)
        self.assertEqual(target.answer(), 7001)
        self.assertEqual(sorted(children(target.pid)), [7000, 7001])

    @in_each_way
    def test_report_of_an_error(self, number, log):
        target = self.target()
        self.assertEqual(target.call(7000), 7000)
        self.stop_inside(target, target.pid)
        self.replace(number, log)
        os.kill(target.pid, signal.SIGCONT)
        self.assertEqual(target.answer(), -errno.EBUSY)
        self.assertEqual(children(target.pid), [7000])
        self.assertEqual(target.call(7001), 7001)

    @in_each_way
    def test_inside_boot(self, number, log):
        target = self.target()
        before = vm_size(target.pid)
        self.stop_inside(target, 7000)
        self.replace(number, log)
        os.kill(target.pid, signal.SIGCONT)
        self.assertEqual(target.answer(), 7000)
        self.assertEqual(target.call(7001), 7001)
        self.assertEqual(sorted(children(target.pid)), [7000, 7001])
        # One area, and the page with the first call's arguments.
        self.assertEqual(vm_size(target.pid), before + 256 + 4)

    @in_each_way
    def test_two_threads_boot_under_two_agents(self, number, log):
        # The first one's boot slot is still in use, although the second agent did not hand it out.
        target = self.target()
        thread = target.thread()
        self.stop_inside(target, 7000)
        tracing.hold(target.pid)
        self.replace(number, log)
        os.kill(target.pid, signal.SIGCONT)
        self.assertEqual(thread.call(7001), 7001)
        tracing.let_go(target.pid)
        self.assertEqual(target.answer(), 7000)
        self.assertEqual(sorted(children(target.pid)), [7000, 7001])
        self.assertEqual(thread.call(7002), 7002)

    def test_code_and_area_are_reused(self):
        self.next_agent()
        target = self.target()
        self.assertEqual(target.call(7000), 7000)
        size = vm_size(target.pid)
        for i in range(20):
            self.replace(ENDS[i % 2], log=i % 4 > 1)
            self.assertEqual(target.call(7001 + i), 7001 + i)
            self.assertEqual(vm_size(target.pid), size, f"after {i + 1} restarts")
        self.assertNotIn("trampoline installed", self.read("a2.err"))

    def test_boot_slots_of_a_target_without_memory(self):
        # Each call boots and must release its boot slot: there are eight.
        self.next_agent()
        target = self.target()
        thread = target.thread()
        resource.prlimit(target.pid, resource.RLIMIT_AS, (1 << 20, resource.RLIM_INFINITY))
        for i in range(10):
            self.assertEqual(target.call(7000 + i), 7000 + i)
        self.replace(signal.SIGKILL)
        for i in range(10):
            self.assertEqual(thread.call(7100 + i), 7100 + i)
        for i in range(10):
            self.assertEqual(target.call(7200 + i), 7200 + i)


class UnderLoad(Successor):
    limit = 3600

    def start_load(self):
        # Checks each register and its memory at each call, in parent and child.
        return [self.start(agents.SHIM, "--socket", self.agent.path, harness.CONFORMANCE, "endure",
                           "3000", str(threads), "returns", stdout=open(self.path(f"out{threads}"), "w"),
                           stderr=open(self.path(f"err{threads}"), "w"))
                for threads in (1, 4)]

    def restarts(self, log):
        seed = int(os.environ.get("CLONE2_SEED", time.time_ns() % 1000000))
        rng = random.Random(seed)
        what = f"CLONE2_SEED={seed}"
        self.next_agent(log)
        load = self.start_load()
        counted = self.start(agents.SHIM, "--socket", self.agent.path, harness.CALL, "-q", "-r", "0",
                             "-o", self.path("counters"))
        callers = [self.wait(lambda p=p: children(p.pid), "the caller")[0] for p in load]
        sizes, installed = {}, 0
        for i in range(ROUNDS):
            time.sleep(rng.uniform(0, 0.6))
            self.replace(rng.choice(ENDS), log)
            self.assertEqual([p.poll() for p in (*load, counted)], [None] * 3,
                             f"round {i}, {what}\n{self.read('out1')}{self.read('out4')}")
            if i >= 2:  # all threads of the load have made their first calls
                for pid in (*callers, counted.pid):
                    sizes.setdefault(pid, set()).add(vm_size(pid))
        calls = missing = 0
        for child, threads in zip(load, (1, 4)):
            child.terminate()
            ended = procs.wait_for(lambda c=child: c.poll() is not None, harness.RUN_SECONDS)
            self.assertTrue(ended, f"{what}: a call hangs\n{threads_of(children(child.pid))}")
            self.assertEqual(self.finish(child), 0, f"{what}\n{self.read(f'out{threads}')}")
            match = re.search(r"endure: (\d+) calls, (\d+) ENOSYS", self.read(f"out{threads}"))
            calls, missing = calls + int(match.group(1)), missing + int(match.group(2))
        done, failures, enosys = harness.counters(self.path("counters"))
        counted.kill()
        self.finish(counted)
        print(f"     {ROUNDS} restarts, log {log}, {what}: {calls + done} calls, "
              f"{missing + enosys} ENOSYS, sizes {[sorted(s) for s in sizes.values()]}", flush=True)
        self.assertEqual(failures, enosys, what)
        # At most one call in progress per thread.
        self.assertLessEqual(missing + enosys, 6 * ROUNDS, what)
        self.assertGreater(calls + done, 20 * ROUNDS)
        for pid, seen in sizes.items():
            self.assertEqual(len(seen), 1, f"VmSize of {pid}: {sorted(seen)}, {what}")

    def test_restarts(self):
        self.restarts(False)

    def test_restarts_with_log(self):
        self.restarts(True)


# Runs the cases of the base class only once.
for _name in [name for name in vars(Successor) if name.startswith("test_")]:
    setattr(UnderLoad, _name, None)


if __name__ == "__main__":
    harness.main()
