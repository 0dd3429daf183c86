# SPDX-License-Identifier: MIT
"""Serving: many targets, leftovers, the end, and the cost."""
import os
import signal
import time

import harness
import procs
from session import Session, server


class Together(harness.Case):
    def test_two_targets_at_once(self):
        s = Session(self)
        one, two = s.start_calls("-r 0"), s.start_calls("-r 0")
        for _ in range(5):
            one.advance(self)
            two.advance(self)
        self.assertEqual(one.counters()[1:], (0, 0))
        self.assertEqual(two.counters()[1:], (0, 0))

    def test_chosen_pids_of_two_targets_do_not_mix(self):
        # clone2-call's child itself detects a wrong pid: exit status 3.
        s = Session(self)
        for low in range(10000, 10400, 100):
            s.do(f"{harness.CALL} -q -r 100 {low} & {harness.CALL} -q -r 100 {low + 50}; "
                 f"a=$?; wait $!; echo $a $?")
            self.assertEqual(s.child.stdout.readline(), "0 0\n")

    def test_descendants(self):
        # A grandchild, after exec, in a new session: each is served.
        result = harness.supervise("--", "setsid", "-w", "sh", "-c", f"(env {harness.CALL} 9000)")
        self.assertEqual(harness.calls(result.out), [9000], result)

    def test_two_hundred_children(self):
        s = Session(self)
        pid = int(s.ask(f"sleep 1000 | {harness.CALL} -q -H -r 200 -o {self.path('n')} & echo $!"))
        self.wait(lambda: len([p for p in procs.named("clone2-call") if p.ppid == pid]) == 200,
                  "200 children")
        self.assertEqual(len(s.call("-r 5")), 5)
        self.assertEqual(s.call("8888"), [8888])

    def test_two_wrappers_side_by_side(self):
        s, t = Session(self), Session(self)
        one, two = s.start_calls("-r 0"), t.start_calls("-r 0")
        one.advance(self)
        two.advance(self)
        s.do("kill %1")
        s.end()
        two.advance(self)
        self.assertEqual(two.counters()[1:], (0, 0))


class Stopped(harness.Case):
    def holds_nobody_up(self, stop, go_on, extra=""):
        """Stops one target at arbitrary moments; another must be served each time."""
        s = Session(self)
        other = s.start_calls("-r 0")
        victim = s.start_calls(f"-r 0 {extra}")
        for round_number in range(25):
            victim.advance(self, 3)
            time.sleep(0.0003 * round_number)
            stop(victim.pid)
            other.advance(self, 20)
            self.assertEqual(s.call("7000"), [7000])
            go_on(victim.pid)
        victim.advance(self)
        self.assertEqual(victim.counters()[1:], (0, 0))
        self.assertEqual(other.counters()[1:], (0, 0))

    def test_sigstop(self):
        self.holds_nobody_up(lambda pid: os.kill(pid, signal.SIGSTOP),
                             lambda pid: os.kill(pid, signal.SIGCONT))

    def test_many_stopped(self):
        # More stopped targets than the supervisor can have workers.
        s = Session(self)
        victims = [s.start_calls("-r 0") for _ in range(24)]
        for victim in victims:
            victim.advance(self, 2)
        for victim in victims:
            os.kill(victim.pid, signal.SIGSTOP)
        self.assertEqual(s.call("-r 3 7000"), [7000] * 3)
        for victim in victims:
            os.kill(victim.pid, signal.SIGCONT)
            victim.advance(self, 2)

    def freezer(self):
        """A freezer: this test's own cgroup v1 group, or v2's cgroup.freeze: (file, words,
        procs)."""
        for base, name, words in (("/sys/fs/cgroup/freezer", "freezer.state", ("FROZEN", "THAWED")),
                                  ("/sys/fs/cgroup", "cgroup.freeze", ("1", "0")),
                                  ("/sys/fs/cgroup/unified", "cgroup.freeze", ("1", "0"))):
            group = f"{base}/clone2-int-{os.getpid()}-{time.monotonic_ns()}"
            try:
                os.mkdir(group)
            except OSError:
                continue
            self.addCleanup(self.remove_group, group, name, words[1])
            if os.path.exists(f"{group}/{name}"):
                return f"{group}/{name}", words, f"{group}/cgroup.procs"
        self.need("cgroup-freezer", False, "no writable freezer hierarchy in /sys/fs/cgroup")

    @staticmethod
    def remove_group(group, name, thaw):
        def remove():
            try:
                write(f"{group}/{name}", thaw)
                procs.end_all()
                os.rmdir(group)
            except FileNotFoundError:
                return True
            except OSError:
                return False
            return True
        procs.wait_for(remove, 10)

    def test_frozen_cgroup(self):
        self.need_root()
        file, (freeze, thaw), members = self.freezer()

        def stop(pid):
            write(members, pid)
            write(file, freeze)

        self.holds_nobody_up(stop, lambda pid: write(file, thaw))

    def test_frozen_and_killed(self):
        # Killed while frozen in the middle of a call: the call is dropped, and nothing hangs.
        self.need_root()
        file, (freeze, thaw), members = self.freezer()
        s = Session(self)
        for _ in range(5):
            victim = s.start_calls("-r 0")
            victim.advance(self, 5)
            write(members, victim.pid)
            write(file, freeze)
            self.assertEqual(s.call("7000"), [7000])
            os.kill(victim.pid, signal.SIGKILL)
            write(file, thaw)
            self.wait(lambda: not procs.alive(victim.pid), "the killed target's end")
        self.assertEqual(s.call("7000"), [7000])

    def test_killed_at_random(self):
        s = Session(self)
        for round_number in range(40):
            victim = s.start_calls("-r 0")
            victim.advance(self, 1)
            time.sleep(0.0002 * round_number)
            os.kill(victim.pid, signal.SIGKILL)
        self.assertEqual(s.call("-r 3 7000"), [7000] * 3)


def write(path, text):
    with open(path, "w") as f:
        f.write(str(text))


class Leftover(harness.Case):
    def test_daemon_is_served_after_the_command(self):
        s = Session(self)
        s.do("set -m")  # in its own process group, like a daemon
        daemon = s.start_calls("-r 0 -i 1", "setsid")
        daemon.advance(self)
        self.assertEqual(s.end(), 0)
        daemon.advance(self, 50)
        self.assertEqual(daemon.counters()[1:], (0, 0))
        server_pid = server(self)
        self.assertIn(server_pid, [p.pid for p in procs.ancestors(daemon.pid)])
        os.kill(daemon.pid, signal.SIGTERM)
        self.wait(lambda: not procs.alive(server_pid), "the serving process' end")
        self.assertEqual([p for p in procs.everything() if p.comm in (procs.REAP, procs.COMMAND)
                          and p.state != "Z"], [])

    def test_orphans_are_reaped(self):
        # Zombies of orphaned targets must be reaped by the wrapper's reaper; nothing else would.
        s = Session(self)
        keeper = s.start_calls("-r 0 -i 1")
        for _ in range(20):
            s.do("(sleep 0.01 & )")
        keeper.advance(self, 100)
        self.wait(lambda: not [p for p in procs.everything()
                               if p.comm == "sleep" and p.state == "Z"], "no zombie sleeps")

    def test_wait_all(self):
        child = self.start(harness.SUPERVISE, "--wait-all", "--", "sh", "-c",
                           f"{harness.CALL} -r 0 -i 1 -q -o {self.path('n')} & exit 5")
        daemon = self.wait(lambda: procs.named("clone2-call"), "the daemon")[0]
        time.sleep(0.3)
        self.assertIsNone(child.poll(), "did not wait")
        os.kill(daemon.pid, signal.SIGTERM)
        self.assertEqual(self.finish(child), 5)
        self.wait(lambda: not procs.named(procs.SERVE), "the serving process' end")

    def test_wait_all_with_nothing_left(self):
        self.expect(harness.supervise("--wait-all", "--", "sh", "-c", "exit 6"), 6)

    def test_nothing_stays_behind(self):
        for program in (["true"], [harness.CALL, "-r", "3"], ["sh", "-c", "kill -9 $$"]):
            harness.supervise("--", *program)
            self.wait(lambda: [p.comm for p in procs.everything() if not p.ended
                               and p.comm.startswith("clone2")] == [], "all gone")

    def test_program_ends_while_a_child_calls(self):
        # The command ends with PROGRAM, even in the middle of another target's call.
        for status in range(20):
            self.expect(harness.supervise("--", "sh", "-c", f"{harness.CALL} -q -r 50 & "
                                          f"{harness.CALL} -q; exit {status}"), status)


class Cost(harness.Case):
    def test_idle_serving_process_uses_no_cpu(self):
        s = Session(self)
        idle = s.ask(f"sleep 1000 </dev/null >/dev/null 2>&1 & echo $!")
        self.assertTrue(idle)
        self.assertEqual(len(s.call("-r 20")), 20)
        pids = [server(self)] + [p.pid for p in procs.everything()
                                 if p.comm in (procs.REAP, procs.COMMAND)]

        def idle():
            before = [procs.get(pid).ticks for pid in pids]
            time.sleep(2)
            return [procs.get(pid).ticks for pid in pids] == before
        self.wait(idle, "two seconds without any work")

    def test_memory_does_not_grow_with_calls(self):
        s = Session(self)
        caller = s.start_calls("-r 0")
        caller.advance(self, 1000)
        before = procs.rss_kib(server(self))
        caller.advance(self, 5000)
        self.assertLess(procs.rss_kib(server(self)), before + 2048)

    def test_memory_does_not_grow_with_targets(self):
        # Each target is a process with its own trampoline: its state ends with it.
        s = Session(self)
        def many(count):
            s.do(f"i=0; while [ $i -lt {count} ]; do {harness.CALL} -q || echo bad; "
                 f"i=$((i+1)); done; echo done")
            self.assertEqual(s.child.stdout.readline(), "done\n")
        many(100)
        pid = server(self)
        before, descriptors = procs.rss_kib(pid), len(os.listdir(f"/proc/{pid}/fd"))
        many(400)
        self.assertLess(procs.rss_kib(pid), before + 2048)
        self.wait(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= descriptors + 2,
                  f"the descriptors of those that have ended to be closed, to {descriptors}")


if __name__ == "__main__":
    harness.main()
