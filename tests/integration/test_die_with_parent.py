# SPDX-License-Identifier: MIT
"""--die-with-parent: PROGRAM and its processes end with the wrapper and with the wrapper's parent."""
import ctypes
import os
import signal
import threading

import harness
import procs
import tracing

PIDFD_OPEN = 434
SET_CHILD_SUBREAPER = 36
# Children, grandchildren, an orphan, a process in a session of its own, a stopped one.
TREE = """
sleep 1001 &
(sleep 1002 & wait) &
(sleep 1003 &)
setsid sh -c 'sleep 1004 & exec sleep 1005' &
sleep 1006 & kill -STOP $!
"""
SLEEPERS = 5  # and one that is stopped, perhaps before it has executed sleep
# A parent in a process of its own: it starts a command and stays.
PARENT = "import subprocess, sys; subprocess.Popen(sys.argv[1:]).wait()"


class DieWithParent(harness.Case):
    def sleepers(self):
        return procs.named("sleep")

    def running(self):
        return [p for p in self.sleepers() if p.state != "T"]

    def stopped(self):
        return [p for p in procs.everything() if p.state == "T" and p.comm in ("sh", "sleep")]

    def start_tree(self, *options, end="sleep 1000"):
        """A parent, the wrapper and its tree. Returns the pids of the first two."""
        parent = self.start(harness.PYTHON, "-S", "-c", PARENT, harness.SUPERVISE, *options, "--",
                            "sh", "-c", TREE + f"echo $$ >{self.path('begun')}\n" + end)
        self.addCleanup(parent.stderr.close)
        self.wait(lambda: self.read("begun").endswith("\n") and
                  len(self.running()) >= SLEEPERS and self.stopped(), "the tree")
        # PROGRAM's tree has its own pids in a new namespace, and ours as well.
        wrapper = self.wait(lambda: [p for p in procs.named(procs.COMMAND)
                                     if p.ppid == parent.pid], "the wrapper")[0]
        return parent, wrapper.pid

    def held_end(self):
        """What PROGRAM ends with: it waits for let_end()."""
        if not os.path.exists(self.path("end")):
            os.mkfifo(self.path("end"))
        return f"read word <{self.path('end')}; exit 0"

    def let_end(self):
        with open(self.path("end"), "w") as fifo:
            fifo.write("word\n")

    def all_end(self):
        self.wait(lambda: not [p for p in procs.everything() if not p.ended and
                               p.comm in ("sleep", "sh", procs.SERVE, procs.REAP, procs.COMMAND)],
                  "the end of all")

    def each_way(self, victim, options=()):
        for more in ((), ("--pidns",), ("--pidns=2",)):
            with self.subTest(options=more):
                parent, wrapper = self.start_tree("--die-with-parent", *options, *more)
                os.kill(wrapper if victim == "wrapper" else parent.pid, signal.SIGKILL)
                self.all_end()
                parent.wait(harness.RUN_SECONDS)
                os.unlink(self.path("begun"))

    def test_parent_is_killed(self):
        self.each_way("parent")

    def test_wrapper_is_killed(self):
        self.each_way("wrapper")

    def test_proc_of_another_namespace(self):
        # The numbers there are those of other processes. PROGRAM's pid is known.
        self.need_command("unshare")
        for options in ((), ("--pidns", "--pid=1"), ("--pidns=2", "--pid=1")):
            with self.subTest(options=options):
                outside = self.start("unshare", "-p", "-f", "--kill-child", "sh", "-c",
                                     '"$@"; exec sleep 1000', "sh", harness.SUPERVISE,
                                     "--die-with-parent", *options, "--", "cat", "/dev/zero",
                                     stdout=open("/dev/null", "w"))
                program = self.wait(lambda: procs.named("cat"), "PROGRAM")[0]
                os.kill(procs.named(procs.COMMAND)[0].pid, signal.SIGKILL)
                self.wait(lambda: not procs.alive(program.pid), "PROGRAM's end")
                self.wait(lambda: self.sleepers(), "the shell to go on: nobody else was killed")
                outside.kill()
                outside.wait()
                outside.stderr.close()
                self.all_end()

    def test_parent_exits(self):
        # Its end is what counts, not how.
        script = f'"$@" & while [ ! -e {self.path("begun")} ]; do sleep 0.01; done'
        self.start("sh", "-c", script, "sh", harness.SUPERVISE, "--die-with-parent", "--", "sh",
                   "-c", TREE + f"echo $$ >{self.path('begun')}\nsleep 1000").stderr.close()
        self.wait(lambda: os.path.exists(self.path("begun")), "the tree")
        self.all_end()

    def test_wrapper_reports_how_program_ended(self):
        # The parent is a subreaper's child, and we are the subreaper.
        self.assertEqual(prctl(SET_CHILD_SUBREAPER, 1), 0)
        parent, wrapper = self.start_tree("--die-with-parent")
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(harness.RUN_SECONDS)
        self.assertEqual(os.waitpid(wrapper, 0)[1], signal.SIGKILL)
        self.all_end()

    def test_without_the_option_program_lives_on(self):
        parent, wrapper = self.start_tree()
        os.kill(wrapper, signal.SIGKILL)
        parent.wait(harness.RUN_SECONDS)
        reaper = self.wait(lambda: procs.named(procs.REAP), "the reaper")[0].pid
        # The reaper leaves the job when it has seen that.
        self.wait(lambda: procs.get(reaper).session == reaper, "the reaper to notice")
        self.wait(lambda: len(self.running()) == SLEEPERS + 1, "the tree and PROGRAM's last")

    def test_what_program_leaves_behind_lives_on(self):
        parent, _ = self.start_tree("--die-with-parent", end=self.held_end())
        self.let_end()
        self.assertEqual(parent.wait(harness.RUN_SECONDS), 0)
        reaper = self.wait(lambda: procs.named(procs.REAP), "the reaper")[0].pid
        self.wait(lambda: procs.get(reaper).session == reaper, "the reaper to leave the job")
        self.assertEqual(len(self.running()), SLEEPERS)

    def test_wait_all(self):
        # The wrapper still waits, so what PROGRAM left behind ends with it.
        for victim in (0, 1):
            with self.subTest(victim=victim):
                parent, wrapper = self.start_tree("--die-with-parent", "--wait-all",
                                                  end=self.held_end())
                self.let_end()
                program = int(self.read("begun"))
                self.wait(lambda: not procs.alive(program), "PROGRAM's end")
                os.kill((parent.pid, wrapper)[victim], signal.SIGKILL)
                self.all_end()
                parent.wait(harness.RUN_SECONDS)
                os.unlink(self.path("begun"))

    def test_a_thread_of_the_parent_may_end(self):
        # A parent-death signal would come when the thread that started the wrapper ends.
        os.mkfifo(self.path("go"))
        started = []
        command = [harness.SUPERVISE, "--die-with-parent", "--", "sh", "-c",
                   f"read word <{self.path('go')}; exit $word"]
        thread = threading.Thread(target=lambda: started.append(self.start(*command)))
        thread.start()
        thread.join()
        self.wait(lambda: len(tracing.tasks(os.getpid())) == 1, "the thread's end")
        with open(self.path("go"), "w") as fifo:
            fifo.write("7\n")
        self.assertEqual(self.finish(started[0]), 7)

    def test_parent_dies_before_it_is_watched(self):
        # Held before pidfd_open() of the parent's pid.
        self.assertEqual(prctl(SET_CHILD_SUBREAPER, 1), 0)
        pipe = os.pipe()
        parent = os.fork()
        if parent == 0:
            child = os.fork()
            if child == 0:
                os.read(pipe[0], 1)
                os.dup2(os.open(self.path("err"), os.O_CREAT | os.O_WRONLY), 2)
                os.execv(harness.SUPERVISE, [harness.SUPERVISE, "--die-with-parent", "--", "touch",
                                             self.path("ran")])
            with open(self.path("child"), "w") as file:
                file.write(f"{child}\n")
            signal.pause()
        self.wait(lambda: self.read("child").endswith("\n"), "the child")
        child = int(self.read("child"))
        held = tracing.Before(child, PIDFD_OPEN)
        os.write(pipe[1], b"x")
        self.wait(held.reached, "the wrapper's pidfd_open()")
        os.kill(parent, signal.SIGKILL)
        self.wait(lambda: procs.get(parent).state == "Z", "the parent's end")
        held.let_go()
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 125)
        self.assertIn("--die-with-parent: the parent has died", self.read("err"))
        self.assertFalse(os.path.exists(self.path("ran")))

    def test_parent_outside_the_namespace(self):
        result = harness.run(["unshare", "--pid", "--fork", harness.SUPERVISE, "--die-with-parent",
                              "--", "true"])
        self.expect(result, 125, err="--die-with-parent: the parent is outside this pid namespace")


def prctl(option, value):
    return ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    harness.main()
