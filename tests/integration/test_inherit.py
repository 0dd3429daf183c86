# SPDX-License-Identifier: MIT
"""A process inherits the same with the wrapper as without it."""
import os
import signal
import subprocess

import harness

# Everything in /proc/PID/status that execve keeps and that the wrapper need not change.
SAME = ("Umask", "Uid", "Gid", "Groups", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff",
        "CapBnd", "CapAmb", "NoNewPrivs", "Cpus_allowed", "Mems_allowed", "TracerPid", "Threads",
        "SigPnd", "ShdPnd", "THP_enabled", "CoreDumping", "Speculation_Store_Bypass",
        "untag_mask")


class Inherit(harness.Case):
    def both(self, program, prefix=(), **kw):
        """The output of a program without and with the wrapper, both started by `prefix`."""
        if prefix:
            self.need_command(prefix[0])
        bare = harness.run([*prefix, *program], **kw)
        wrapped = harness.run([*prefix, harness.SUPERVISE, "--", *program], **kw)
        self.assertEqual(bare.status, 0, bare)
        self.assertEqual(wrapped.status, 0, wrapped)
        return bare.out, wrapped.out

    def same(self, program, prefix=(), **kw):
        bare, wrapped = self.both(program, prefix, **kw)
        self.assertEqual(wrapped, bare)
        return bare

    def same_status(self, prefix=(), **kw):
        def parse(text):
            lines = dict(line.split(":", 1) for line in text.splitlines())
            return {k: lines[k].strip() for k in SAME if k in lines}
        bare, wrapped = map(parse, self.both(("cat", "/proc/self/status"), prefix, **kw))
        self.assertEqual(wrapped, bare)
        return wrapped

    def test_status(self):
        status = self.same_status()
        self.assertEqual(status["TracerPid"], "0")
        if harness.is_root():
            self.assertEqual(status["NoNewPrivs"], "0")

    def test_ignored_and_blocked_signals(self):
        prefix = ("env", "--ignore-signal=HUP,INT,CHLD,PIPE,TSTP", "--block-signal=USR1,TERM,CHLD")
        self.assertEqual(self.same_status(prefix)["SigIgn"], "0000000000091003")

    def test_all_signals_blocked(self):
        self.same_status(("env", "--block-signal"))

    def test_all_signals_ignored(self):
        self.same_status(("env", "--ignore-signal"))

    def test_ignored_child_signal_keeps_the_status(self):
        # With SIGCHLD ignored the kernel discards statuses; the wrapper must not lose PROGRAM's.
        result = harness.run(["env", "--ignore-signal=CHLD", harness.SUPERVISE, "--", "sh", "-c",
                              "exit 5"])
        self.assertEqual(result.status, 5)

    def test_environment(self):
        text = self.same(("env", "-0"), env={**os.environ, "A": "1\n2", "EMPTY": "", "Ü": "ü"})
        self.assertIn("A=1\n2\0", text)
        self.assertEqual(self.same(("/usr/bin/env",), env={}), "")

    def test_directory(self):
        self.assertEqual(self.same(("pwd",), cwd=self.tmp).strip(), self.tmp)

    def test_removed_directory(self):
        gone = self.path("gone")
        os.mkdir(gone)
        script = f'cd {gone} && rmdir {gone} && exec "$0" -- readlink /proc/self/cwd'
        result = harness.run(["sh", "-c", script, harness.SUPERVISE])
        self.assertIn("(deleted)", result.out, result)

    def test_umask(self):
        program = ("sh", "-c", "umask")
        for mask in ("0000", "0022", "0077", "0777"):
            text = self.same(program, ("sh", "-c", f'umask {mask}; exec "$@"', "sh"))
            self.assertEqual(text, mask + "\n")

    def test_limits(self):
        text = self.same(("cat", "/proc/self/limits"),
                         ("prlimit", "--nofile=100:200", "--core=1000:2000",
                          "--stack=1000000:2000000", "--memlock=65536:65536",
                          "--nproc=3000:4000", "--fsize=123456789:123456789", "--sigpending=99:99"))
        self.assertIn("123456789", text)

    def test_priority(self):
        self.need_command("chrt")
        self.assertEqual(self.same(("nice",), ("nice", "-n", "5")), f"{min(os.nice(0) + 5, 19)}\n")
        self.same(("ionice",), ("ionice", "-c", "3"))
        self.same(("sh", "-c", "chrt -p $$ | sed s/[0-9]*.s/x/"), ("chrt", "--batch", "0"))

    def test_cpu_affinity(self):
        self.assertEqual(self.same(("nproc",), ("taskset", "1")), "1\n")

    def test_oom_score(self):
        self.same(("cat", "/proc/self/oom_score_adj"), ("choom", "-n", "300", "--"))

    def test_namespaces(self):
        self.same(("sh", "-c", "for n in /proc/self/ns/*; do readlink $n; done"))

    def test_process_group_and_session(self):
        program = ("sh", "-c", "ps -o pgid=,sid= -p $$")
        self.need_command("ps")
        bare = harness.run(program, preexec_fn=os.setsid).out.split()
        self.assertEqual(len(bare), 2)
        child = subprocess.Popen([harness.SUPERVISE, "--", *program], stdout=subprocess.PIPE,
                                 stdin=subprocess.DEVNULL, preexec_fn=os.setsid)
        group, session = map(int, child.communicate(timeout=60)[0].split())
        self.assertEqual((group, session), (child.pid, child.pid))

    def test_not_a_group_leader(self):
        # PROGRAM must be able to call setsid() itself, as daemons do.
        program = ("-S", "-c", "import os; os.setsid(); print('ok')")
        result = harness.run([harness.SUPERVISE, "--", harness.PYTHON, *program],
                             preexec_fn=os.setpgrp)
        self.assertEqual(result.out, "ok\n", result)

    def test_parent_death_signal_is_not_set(self):
        program = "import ctypes; n=ctypes.c_int(7); ctypes.CDLL(None).prctl(2,ctypes.byref(n)); " \
                  "print(n.value)"
        self.assertEqual(self.same((harness.PYTHON, "-c", program)), "0\n")

    def test_not_a_subreaper(self):
        program = "import ctypes; n=ctypes.c_int(7); " \
                  "ctypes.CDLL(None).prctl(37,ctypes.byref(n)); print(n.value)"
        self.assertEqual(self.same((harness.PYTHON, "-c", program)), "0\n")

    def test_no_children_of_others(self):
        # PROGRAM must not find children that it never had: wait() must fail with ECHILD.
        program = "import os\ntry: os.wait(); print('a child')\n" \
                  "except ChildProcessError: print('none')"
        self.assertEqual(self.same((harness.PYTHON, "-c", program)), "none\n")

    def test_timers_and_alarm(self):
        self.need_command("perl")
        # alarm(2) survives execve; its SIGALRM goes to the command, which forwards it to PROGRAM.
        result = harness.run(["perl", "-e", "alarm 1; exec @ARGV", harness.SUPERVISE, "--", "sleep",
                              "1000"])
        self.assertEqual(result.status, -signal.SIGALRM)

    def test_descriptor_positions(self):
        with open(self.path("f"), "w+") as f:
            f.write("0123456789")
            f.flush()
            f.seek(3)
            result = harness.supervise("--", "head", "-c", "2", stdin=f)
        self.assertEqual(result.out, "34")

    def test_process_titles(self):
        # ps(1) tells the wrapper's processes apart, and shows whose they are.
        # PROGRAM may run before the reaper has its title.
        program = "for n in serve reap; do " \
                  "until grep -q ^clone2-$n /proc/$(pgrep -x clone2-$n)/cmdline; do sleep 0.1; done; " \
                  "cat /proc/$(pgrep -x clone2-$n)/cmdline; done; cat /proc/self/cmdline"
        self.need_command("pgrep")
        for options in ((), ("--wait-all",)):
            result = harness.supervise(*options, "--", "sh", "-c", program)
            rest = "\0".join([*options, "--", "sh", "-c", program])
            self.assertIn("cat\0/proc/self/cmdline", result.out)
            self.assertTrue(result.out.startswith("clone2-serve\0" + rest + "\0"), result)
            self.assertIn("\0clone2-reap\0" + rest + "\0", result.out)


if __name__ == "__main__":
    harness.main()
