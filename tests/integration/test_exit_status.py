# SPDX-License-Identifier: MIT
"""PROGRAM's end is the command's end: exit status, death by a signal, programs that can't start."""
import ctypes
import os
import re
import shutil
import signal

import harness
import procs

DEADLY = ["HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
          "PIPE", "ALRM", "TERM", "XCPU", "SYS", "RTMIN", "RTMAX"]


class ExitStatus(harness.Case):
    def test_every_exit_status(self):
        for status in [*range(0, 256, 15), 1, 2, 124, 125, 126, 127, 128, 129, 137, 143, 255]:
            with self.subTest(status=status):
                self.expect(harness.supervise("--", "sh", "-c", f"exit {status}"), status)

    def test_without_double_dash(self):
        self.expect(harness.supervise("sh", "-c", "exit 7"), 7)

    def test_options_stop_at_program(self):
        result = harness.supervise("echo", "--help", "-n", "x")
        self.expect(result)
        self.assertEqual(result.out, "--help -n x\n")

    def test_arguments_are_kept(self):
        words = ["", " ", "a b", "--", "-x", "*", "\n", "ü"]
        result = harness.supervise("--", "printf", "[%s]", *words)
        self.assertEqual(result.out, "".join(f"[{w}]" for w in words), result)

    def test_double_dash_only_once(self):
        result = harness.supervise("--", "echo", "--", "x")
        self.assertEqual(result.out, "-- x\n", result)

    def test_nothing_is_added_to_the_output(self):
        result = harness.supervise("--", harness.CALL, "-q")
        self.expect(result)
        self.assertEqual((result.out, result.err), ("", ""))

    def test_a_target_with_a_parent_elsewhere(self):
        init = self.start("unshare", "--pid", "--fork", "--kill-child", "sleep", "1000")
        other, = self.wait(lambda: [p for p in procs.named("sleep") if p.ppid == init.pid], "sleep")
        # Its orphan goes to that namespace's init and has the filter still.
        result = harness.supervise(
            "--", "sh", "-c", f"nsenter --pid=/proc/{other.pid}/ns/pid "
            "sh -c 'sleep 1000 </dev/null >/dev/null 2>&1 &'; exit 3")
        self.expect(result, 3)


class DeathBySignal(harness.Case):
    def dies(self, name, *options):
        """PROGRAM kills itself with this signal, in a directory where a core could be written."""
        cwd = self.path("cwd")
        os.makedirs(cwd, exist_ok=True)
        program = "import os,signal,sys; s=getattr(signal,'SIG'+sys.argv[1]); " \
                  "s in (9,) or signal.signal(s,signal.SIG_DFL); os.kill(os.getpid(),s)"
        # The core limit is PROGRAM's: the wrapper must not dump core because of it.
        result = harness.supervise(*options, "--", "prlimit", "--core=0", harness.PYTHON, "-c",
                                   program, name, cwd=cwd)
        self.assertEqual(os.listdir(cwd), [], "a core was left")
        return result

    def test_same_signal(self):
        for name in DEADLY:
            with self.subTest(signal=name):
                self.assertEqual(self.dies(name).status, -getattr(signal, "SIG" + name))

    def test_status_signal_is_the_default(self):
        self.assertEqual(self.dies("TERM", "--exit-status=signal").status, -signal.SIGTERM)

    def test_128_plus_n(self):
        for name in DEADLY:
            with self.subTest(signal=name):
                self.assertEqual(self.dies(name, "--exit-status=128").status,
                                 128 + getattr(signal, "SIG" + name))

    def test_128_changes_no_ordinary_status(self):
        self.expect(harness.supervise("--exit-status=128", "--", "sh", "-c", "exit 9"), 9)

    def test_no_core_of_the_wrapper(self):
        # waitid's si_code tells a death with a core (CLD_DUMPED) from one without (CLD_KILLED).
        with open("/proc/sys/kernel/core_pattern") as f:
            self.need("core-files", not f.read().startswith("|"), "cores go to a program")
        child = os.fork()
        if child == 0:
            os.chdir(self.tmp)
            os.execvp("prlimit", ["prlimit", "--core=unlimited", harness.SUPERVISE, "--", "prlimit",
                                  "--core=0", "sh", "-c", "kill -SEGV $$"])
        info = os.waitid(os.P_PID, child, os.WEXITED)
        self.assertEqual((info.si_code, info.si_status), (os.CLD_KILLED, signal.SIGSEGV))

    def death_with_core(self, *before):
        """How the wrapper ends if PROGRAM dumps core, and the files that this leaves."""
        with open("/proc/sys/kernel/core_pattern") as f:
            pattern = f.read().strip()
        self.need("core-files", re.fullmatch(r"[\w.%-]+", pattern), f"cores go to {pattern}")
        wrapper = self.public_copy(harness.SUPERVISE)
        cwd = self.path("cwd")
        os.mkdir(cwd)
        os.chmod(cwd, 0o777)
        child = os.fork()
        if child == 0:
            os.chdir(cwd)
            argv = [*before, "prlimit", "--core=unlimited", wrapper, "--", "sh", "-c",
                    "kill -SEGV $$"]
            os.execvp(argv[0], argv)
        return os.waitid(os.P_PID, child, os.WEXITED), cwd

    def test_a_core_dump_is_reported(self):
        as_nobody = ("setpriv", f"--reuid={harness.NOBODY}", f"--regid={harness.NOBODY}",
                     "--clear-groups")
        for before in ((), as_nobody):
            with self.subTest(before=before):
                if before:
                    self.need_root()
                    self.need_command("setpriv")
                info, cwd = self.death_with_core(*before)
                self.assertEqual((info.si_code, info.si_status), (os.CLD_DUMPED, signal.SIGSEGV))
                [core] = os.listdir(cwd)
                with open(os.path.join(cwd, core), "rb") as f:
                    self.assertIn(b"kill -SEGV $$", f.read(), "it is the wrapper's core")
                shutil.rmtree(cwd)

    def test_a_core_dump_that_cannot_be_hidden(self):
        # No new namespaces: no flag, and PROGRAM's core is not overwritten.
        info, cwd = self.death_with_core(
            "unshare", "--user", "--map-root-user", "sh", "-c",
            "echo 0 >/proc/sys/user/max_mnt_namespaces && exec \"$@\"", "sh")
        self.assertEqual((info.si_code, info.si_status), (os.CLD_KILLED, signal.SIGSEGV))
        [core] = os.listdir(cwd)
        with open(os.path.join(cwd, core), "rb") as f:
            self.assertIn(b"kill -SEGV $$", f.read(), "it is the wrapper's core")

    def test_a_shell_sees_the_signal(self):
        result = harness.run(["sh", "-c", '"$1" -- sh -c "kill -9 \\$\\$"; echo $?', "sh",
                              harness.SUPERVISE])
        self.assertEqual(result.out, "137\n", result)


class CannotStart(harness.Case):
    def test_not_found(self):
        for program in ("clone2-no-such-program", "/no/such/program", "./no-such"):
            with self.subTest(program=program):
                result = self.expect(harness.supervise("--", program), 127)
                self.assertEqual(result.err.count("\n"), 1, result)
                self.assertIn(program, result.err)

    def test_not_executable(self):
        plain = self.path("plain")
        with open(plain, "w") as f:
            f.write("x")
        for program in (plain, "/", self.tmp):
            with self.subTest(program=program):
                result = self.expect(harness.supervise("--", program), 126)
                self.assertEqual(result.err.count("\n"), 1, result)
                self.assertIn(program, result.err)

    def test_script_without_interpreter_line(self):
        # ENOEXEC: execvp, and so env(1), nice(1) and every shell, runs it with /bin/sh.
        script = self.path("script")
        with open(script, "w") as f:
            f.write("exit $#\n")
        os.chmod(script, 0o755)
        self.assertEqual(harness.run(["env", script, "a", "b"]).status, 2)
        self.expect(harness.supervise("--", script, "a", "b"), 2)

    def test_interpreter_is_missing(self):
        script = self.path("script")
        with open(script, "w") as f:
            f.write("#!/no/such/interpreter\n")
        os.chmod(script, 0o755)
        # execve gives ENOENT, as for a missing program: env(1) and every shell return 127 for both.
        self.expect(harness.supervise("--", script), 127)

    def test_found_in_path_but_not_executable(self):
        with open(self.path("clone2-plain"), "w") as f:
            f.write("x")
        environment = dict(os.environ, PATH=f"{self.tmp}:{os.environ['PATH']}")
        self.expect(harness.supervise("--", "clone2-plain", env=environment), 126)

    def test_path_is_searched(self):
        with open(self.path("clone2-script"), "w") as f:
            f.write("#!/bin/sh\nexit 33\n")
        os.chmod(self.path("clone2-script"), 0o755)
        environment = dict(os.environ, PATH=f"{self.tmp}:{os.environ['PATH']}")
        self.expect(harness.supervise("--", "clone2-script", env=environment), 33)

    def test_a_failed_start_leaves_no_zombie(self):
        # Orphans become ours here, as in a container whose init reaps nothing.
        self.assertEqual(ctypes.CDLL(None).prctl(36, 1, 0, 0, 0), 0)  # PR_SET_CHILD_SUBREAPER
        unshare = 272
        result = harness.run([harness.REFUSE, f"{unshare}=22", "--", harness.SUPERVISE, "--pidns",
                              "--", "true"])
        self.expect(result, 125, err="--pidns")
        self.assertRaises(ChildProcessError, os.wait)

    def test_nothing_stays_behind(self):
        harness.supervise("--", "clone2-no-such-program")
        self.wait(lambda: not harness.procs.named(harness.procs.SERVE), "the serving process' end")


if __name__ == "__main__":
    harness.main()
