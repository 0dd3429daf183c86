# SPDX-License-Identifier: MIT
"""The new pid namespace of --pidns: who has which pid in it, and whose ids its users have."""
import errno
import os
import signal
import subprocess

import harness
import procs
import terminal

AS_NOBODY = ("setpriv", f"--reuid={harness.NOBODY}", f"--regid={harness.NOBODY}", "--clear-groups")
OLD_KERNEL = ("setarch", "--uname-2.6")


class Pids(harness.Case):
    def pids(self, *options, script="echo $$; /bin/sh -c 'echo $$'; /bin/sh -c 'echo $$'"):
        result = self.expect(harness.supervise("--pidns", *options, "--", "/bin/sh", "-c", script))
        return [int(line) for line in result.out.split()]

    def test_program_and_those_after_it(self):
        for options, wanted in (((), [2, 3, 4]), (("--pid", "2"), [2, 3, 4]),
                                (("--pid", "4711"), [4711, 4712, 4713]),
                                (("--first-pid", "4711"), [2, 4711, 4712]),
                                (("--pid=4711", "--first-pid=77"), [4711, 77, 78]),
                                (("--pid=77", "--first-pid=76"), [77, 76, 78]),
                                (("--pid=1",), [1, 2, 3]),
                                (("--pid=1", "--first-pid=4711"), [1, 4711, 4712])):
            with self.subTest(options=options):
                self.assertEqual(self.pids(*options), wanted)

    def test_innermost_namespace_only(self):
        for first, wanted in ((1, "NSpid:\t{}\t1"), (4711, "NSpid:\t{}\t4711")):
            with self.subTest(pid=first):
                child = self.start(harness.SUPERVISE, "--pidns=2", f"--pid={first}", "--", "sleep",
                                   "1000")
                pid = self.wait(lambda: procs.named("sleep"), "PROGRAM")[0].pid
                here, *inside = procs.status(pid)["NSpid"].split()
                self.assertEqual(len(inside), 2)
                self.assertNotEqual(inside[0], str(first))
                self.assertEqual(inside[1], str(first))
                os.kill(pid, signal.SIGKILL)
                self.finish(child)
                self.wait(lambda: not procs.alive(pid), "PROGRAM's end")

    def test_outside_the_old_proc_stays(self):
        for prefix in ((), (harness.REFUSE, f"436={errno.ENOSYS}", "--")):  # close_range
            with self.subTest(prefix=prefix):
                child = self.start(*prefix, harness.SUPERVISE, "--pidns=3", "--", "sleep", "1000")
                program = self.wait(lambda: procs.named("sleep"), "PROGRAM")[0]
                init, *outside = procs.ancestors(program.pid)[:4]
                self.assertNotEqual(self.mounts(init.pid), self.mounts("self"))
                for p in outside:
                    self.assertEqual(self.mounts(p.pid), self.mounts("self"))
                    self.wait(lambda: self.arguments(p.pid)[0] == b"clone2-reap", "its title")
                    self.wait(lambda: len(os.listdir(f"/proc/{p.pid}/fd")) == 3,
                              "its descriptors to be closed")
                child.terminate()
                self.finish(child)

    def mounts(self, pid):
        return os.readlink(f"/proc/{pid}/ns/mnt")

    def arguments(self, pid):
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().split(b"\0")

    def test_nested_too_deep(self):
        # This test is in a pid namespace already.
        self.expect(harness.supervise("--pidns=32", "--", "true"), 125,
                    err="nest at most 32 deep")

    def test_calls_are_served(self):
        for options in (("--pid=1",), ("--pid=300",), ("--first-pid=300",)):
            with self.subTest(options=options):
                result = harness.supervise("--pidns", *options, "--", harness.CALL, "-r", "3",
                                           "7000")
                self.assertEqual(harness.calls(result.out), [7000] * 3, result)

    def test_pid_max(self):
        self.need("pidns-pid-max", procs.own_pid_max(), "one pid_max for all (Linux 6.14)")
        with open("/proc/sys/kernel/pid_max") as f:
            outside = f.read()
        for options in (("--pid-max=400",), ("--pid-max=400", "--pid=399"),
                        ("--pid-max=400", "--pid=1", "--first-pid=399")):
            with self.subTest(options=options):
                *pids, inside = self.pids(
                    *options, script="echo $$; /bin/sh -c 'echo $$'; /bin/sh -c 'echo $$'; "
                                     "cat /proc/sys/kernel/pid_max")
                self.assertEqual(inside, 400)
                self.assertLess(max(pids), 400)
        with open("/proc/sys/kernel/pid_max") as f:
            self.assertEqual(f.read(), outside, "it was everybody's")
        result = harness.supervise("--pidns", "--pid-max=400", "--", harness.CALL, "400")
        self.assertEqual(harness.calls(result.out), ["EINVAL"], result)

    def test_pid_max_and_picked_pids(self):
        # The 0 is PROGRAM's namespace's, whose limit can't be read from outside.
        self.need("pidns-pid-max", procs.own_pid_max(), "one pid_max for all (Linux 6.14)")
        for options, calls in ((("--pid-max=400", "--pid=399"), 250), (("--pid-max=301",), 320)):
            with self.subTest(options=options):
                highest = int(options[0].partition("=")[2])
                result = harness.supervise("--pidns", *options, "--", harness.CALL, "-r",
                                           str(calls), "20000", "0")
                made = harness.calls(result.out)
                self.assertEqual(len(made), calls, result)
                self.assertEqual([pid for pid in made
                                  if not isinstance(pid, int) or pid >= highest], [])
        # Something else that is wrong stays so.
        result = harness.supervise("--pidns", "--pid-max=400", "--", harness.CALL, "-f",
                                   hex(0x800 | 17), "20000", "0")
        self.assertEqual(harness.calls(result.out), ["EINVAL"], result)

    def test_pid_max_of_an_older_kernel(self):
        # As root it would be everybody's: it is not even tried.
        self.need_command("setarch")
        result = harness.run([*OLD_KERNEL, harness.SUPERVISE, "--pidns", "--pid-max=400", "--",
                              "echo", "ran"])
        self.expect(result, 125, err="one pid_max for all")
        self.assertEqual(result.out, "", result)

    def test_out_of_range(self):
        for options, says in ((("--pid=0",), "1..4194303"), (("--pid=-1",), "1..4194303"),
                              (("--pid=4194304",), "1..4194303"), (("--pid=x",), "1..4194303"),
                              (("--first-pid=1",), "2..4194303"),
                              (("--pid-max=300",), "301..4194304"),
                              (("--pid-max=4194305",), "301..4194304"),
                              (("--pid-max=500", "--pid=500"),
                               "--pid: 500 is not below --pid-max=500"),
                              (("--first-pid=600", "--pid-max=500"),
                               "--first-pid: 600 is not below --pid-max=500")):
            with self.subTest(options=options):
                result = harness.supervise("--pidns", *options, "--", "echo", "ran")
                self.expect(result, 125, err=says)
                self.assertEqual(result.out, "", result)

    def test_without_pidns(self):
        for option in ("--pid=5", "--first-pid=5", "--pid-max=500", "--map-current-user",
                       "--map-auto"):
            with self.subTest(option=option):
                result = harness.supervise(option, "--", "true")
                self.expect(result, 125, err=option.split("=")[0] + " goes with --pidns")


class ProgramIsInit(harness.Case):
    def start_init(self, script, *options):
        child = self.start(harness.SUPERVISE, "--pidns", "--pid=1", *options, "--", "/bin/sh", "-c",
                           script, stdout=subprocess.PIPE)
        self.assertEqual(child.stdout.readline(), "ready\n")
        return child

    def test_own_proc(self):
        result = harness.supervise("--pidns", "--pid=1", "--", "sh", "-c",
                                   "cat /proc/1/comm; echo /proc/[0-9]*; readlink /proc/self")
        self.assertEqual(result.out, "sh\n/proc/1\n3\n", result)

    def test_status(self):
        for script, status in (("exit 77", 77), ("exit 0", 0)):
            with self.subTest(script=script):
                self.expect(harness.supervise("--pidns", "--pid=1", "--", "sh", "-c", script),
                            status)
        self.expect(harness.supervise("--pidns", "--pid=1", "--", "/nonexistent/prog"), 127)

    def test_killed_from_outside(self):
        child = self.start_init("echo ready; sleep 1000")
        program = self.wait(lambda: [p for p in procs.named("sh")
                                     if procs.status(p.pid)["NSpid"].endswith("\t1")], "PROGRAM")
        os.kill(program[0].pid, signal.SIGKILL)
        self.assertEqual(self.finish(child), -signal.SIGKILL)
        self.wait(lambda: not procs.named("sleep") and not procs.named(procs.SERVE), "the end")

    def test_signals_with_and_without_a_handler(self):
        # The kernel drops SIGUSR1, for which the shell has no handler.
        child = self.start_init("trap 'echo term; exit 3' TERM; echo ready; "
                                "while :; do sleep 1000 & wait; done")
        child.send_signal(signal.SIGUSR1)
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.stdout.readline(), "term\n")
        self.assertEqual(self.finish(child), 3)

    def test_stop_and_continue(self):
        child = self.start_init("trap 'exit 3' TERM; echo ready; while :; do sleep 1000 & wait; "
                                "done")
        program = [p for p in procs.named("sh") if procs.status(p.pid)["NSpid"].endswith("\t1")][0]
        os.kill(program.pid, signal.SIGSTOP)
        self.wait(lambda: procs.status(child.pid)["State"].startswith("T"), "the wrapper's stop")
        child.send_signal(signal.SIGCONT)
        child.send_signal(signal.SIGTERM)
        self.assertEqual(self.finish(child), 3)

    def test_die_with_parent(self):
        child = self.start_init("sleep 1000 & echo ready; wait", "--die-with-parent")
        child.kill()
        self.finish(child)
        self.wait(lambda: not procs.named("sleep"), "the end of the namespace")

    def test_wait_all(self):
        # All that PROGRAM leaves behind ends with its namespace.
        result = harness.supervise("--pidns", "--pid=1", "--wait-all", "--", "sh", "-c",
                                   "sleep 1000 & exit 4")
        self.expect(result, 4)

    def test_usage(self):
        before = os.times()
        self.expect(harness.supervise("--pidns", "--pid=1", "--", harness.PYTHON, "-S", "-c",
                                      "import time\nwhile time.process_time() < 0.5: pass"))
        after = os.times()
        self.assertGreater(after.children_user + after.children_system -
                           before.children_user - before.children_system, 0.45)


class Users(harness.Case):
    """Of the user namespace that is made for an ordinary user."""

    def setUp(self):
        super().setUp()
        self.need_root()
        self.need_command("setpriv")
        self.wrapper, self.call = map(self.public_copy, (harness.SUPERVISE, harness.CALL))
        probe = subprocess.run([*AS_NOBODY, "unshare", "-U", "true"], capture_output=True,
                               text=True)
        self.need("userns", probe.returncode == 0, probe.stderr.strip())

    def supervise(self, *arguments, before=()):
        return harness.run([*before, *AS_NOBODY, self.wrapper, "--pidns", *arguments], cwd="/")

    def with_ranges(self, subuid, subgid):
        """A prefix: these are /etc/subuid and /etc/subgid."""
        for name, text in (("subuid", subuid), ("subgid", subgid)):
            with open(self.path(name), "w") as f:
                f.write(text)
        return ("unshare", "-m", "sh", "-c",
                f'mount --bind "{self.path("subuid")}" /etc/subuid && '
                f'mount --bind "{self.path("subgid")}" /etc/subgid && exec "$@"', "sh")

    def test_current_user(self):
        for options in ((), ("--pid=1",)):
            with self.subTest(options=options):
                result = self.supervise("--map-current-user", *options, "--", "sh", "-c",
                                        "id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map")
                nobody = str(harness.NOBODY)
                self.assertEqual(result.out.split(), [nobody, nobody] + [nobody, nobody, "1"] * 2,
                                 result)
                result = self.supervise("--map-current-user", *options, "--", self.call, "-r", "3",
                                        "7000")
                self.assertEqual(harness.calls(result.out), [7000] * 3, result)

    def test_ranges(self):
        self.need_command("newuidmap")
        before = self.with_ranges("other:1:1\n65534:100000:65536\n", "nobody:200000:1000\n")
        result = self.supervise("--map-auto", "--", "sh", "-c",
                                "cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups",
                                before=before)
        self.assertEqual(result.out.split(), ["0", "65534", "1", "1", "100000", "65536",
                                              "0", "65534", "1", "1", "200000", "1000", "allow"],
                         result)
        result = self.supervise("--map-auto", "--map-current-user", "--", "sh", "-c",
                                "id -u; cat /proc/self/uid_map", before=before)
        self.assertEqual(result.out.split(), ["65534", "0", "100000", "65534", "65534", "65534",
                                              "1", "65535", "165534", "2"], result)

    def test_calls_of_a_subordinate_user(self):
        self.need_command("newuidmap")
        before = self.with_ranges("nobody:100000:65536\n", "nobody:100000:65536\n")
        become = ("setpriv", "--reuid=5", "--regid=5", "--clear-groups",
                  "--inh-caps=+checkpoint_restore", "--ambient-caps=+checkpoint_restore")
        for options, program in (((), ()), ((), become), (("--map-current-user",), ()),
                                 (("--map-current-user",), become)):
            with self.subTest(options=options, program=program):
                result = self.supervise("--map-auto", *options, "--", *program, self.call, "-u",
                                        "-r", "3", "7000", before=before)
                self.assertEqual(harness.calls(result.out), [7000] * 3, result)
                self.assertEqual(result.err, "", result)

    def test_no_range(self):
        before = self.with_ranges("other:1:1\n", "")
        result = self.supervise("--map-auto", "--", "echo", "ran", before=before)
        self.expect(result, 125, err="--map-auto: /etc/subuid has no range for user nobody")
        self.assertEqual(result.out, "", result)

    def test_tools_are_missing_or_refuse(self):
        before = self.with_ranges("nobody:100000:65536\n", "nobody:100000:65536\n")
        for more, says in ((["env", "PATH=/nonexistent", "/usr/bin/env"], "newuidmap: No such file"),
                           (["setpriv", "--no-new-privs"], "--map-auto: the ids were not mapped")):
            with self.subTest(says=says):
                if "newuidmap" not in says:
                    self.need_command("newuidmap")
                result = harness.run([*before, *more, "/usr/bin/setpriv", *AS_NOBODY[1:],
                                      self.wrapper, "--pidns", "--map-auto", "--", "/bin/echo",
                                      "ran"], cwd="/")
                self.expect(result, 125, err=says)
                self.assertEqual(result.out, "", result)

    def with_tools(self, shell="sh", **scripts):
        """A prefix: the wrapper's newuidmap and newgidmap are these shell scripts."""
        tools = self.path("tools")
        os.makedirs(tools, exist_ok=True)
        for name, script in scripts.items():
            with open(os.path.join(tools, name), "w") as f:
                f.write(f"#!/bin/{shell}\n{script}\n")
            os.chmod(f.name, 0o755)
        return (*self.with_ranges("nobody:100000:65536\n", "nobody:100000:65536\n"),
                "env", f"PATH={tools}:{os.environ['PATH']}", *AS_NOBODY)

    def test_a_signal_ends_a_tool_that_hangs(self):
        hangs = "exec sleep 1000"
        for scripts in ({"newuidmap": hangs}, {"newuidmap": "exit 0", "newgidmap": hangs}):
            command = (*self.with_tools(**scripts), self.wrapper, "--pidns", "--map-auto", "--",
                       "echo", "ran")
            for number in (signal.SIGINT, signal.SIGTERM):
                with self.subTest(scripts=scripts, number=number):
                    child = self.start(*command, cwd="/")
                    self.wait(lambda: procs.named("sleep"), "the tool")
                    child.send_signal(number)
                    self.assertEqual(self.finish(child), -number)
                    self.wait(lambda: not procs.named("sleep"), "the tool's end")
            with self.subTest(scripts=scripts, number="Ctrl-C"):
                t = terminal.Terminal(command)
                self.addCleanup(t.close)
                self.wait(lambda: procs.named("sleep"), "the tool")
                t.key("Z")  # stops PROGRAM, which is not there yet
                t.key("C")
                self.assertEqual(t.finish(), -signal.SIGINT)

    def test_a_signal_ends_the_wait_for_the_ranges(self):
        before = self.with_ranges("", "")
        os.remove(self.path("subuid"))
        os.mkfifo(self.path("subuid"))
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number=number):
                child = self.start(*before, *AS_NOBODY, self.wrapper, "--pidns", "--map-auto", "--",
                                   "echo", "ran", cwd="/")
                with self.fifo_in_use(self.path("subuid")):
                    child.send_signal(number)
                    self.assertEqual(self.finish(child), -number)

    @staticmethod
    def tools():
        """The newuidmap that runs, without the shell's forks, which have its name for a moment."""
        found = procs.named("newuidmap")
        return [p for p in found if p.ppid not in [other.pid for other in found]]

    def test_tools_and_program_get_all_signals(self):
        # They have both of these blocked, and wait until both are pending. Not in every shell.
        self.need_command("bash")
        waits = "until grep -q '^ShdPnd:.*0a00$' /proc/$$/status; do sleep 0.01; done"
        for last, status in ((signal.SIGUSR2, 0), (signal.SIGTERM, -signal.SIGTERM)):
            with self.subTest(last=last):
                child = self.start(*self.with_tools("bash", newuidmap=waits, newgidmap=waits),
                                   "env", "--block-signal=USR1", "--block-signal=USR2",
                                   self.wrapper, "--pidns", "--map-auto", "--", "bash", "-c", waits,
                                   cwd="/")
                tool, = self.wait(self.tools, "the tool")
                child.send_signal(signal.SIGUSR1)
                self.wait(lambda: int(procs.status(tool.pid)["ShdPnd"], 16) == 0x200, "SIGUSR1")
                child.send_signal(last)
                self.assertEqual(self.finish(child), status)

    def test_with_privilege_no_user_namespace(self):
        result = harness.supervise("--pidns", "--map-current-user", "--map-auto", "--", "cat",
                                   "/proc/self/uid_map")
        self.assertEqual(result.out.split(), ["0", "0", "4294967295"], result)


if __name__ == "__main__":
    harness.main()
