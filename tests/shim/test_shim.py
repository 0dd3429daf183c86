# SPDX-License-Identifier: MIT
"""libclone2 linked, preloaded and in trap mode, tested with real tools."""
import errno
import json
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402

PRELOAD = harness.PRELOAD
STATIC = os.environ["CLONE2_STATIC"]
BUILD = os.environ["CLONE2_BUILD"]
LINKED = os.environ["CLONE2_LINKED"].split(os.pathsep)
PASSTHROUGH = os.environ["CLONE2_PASSTHROUGH"]
TRAP = os.environ["CLONE2_TRAP"]
SIGSYS = os.environ["CLONE2_SIGSYS"]
CLONE, CLONE3, READV = 56, 435, 310
HERE = os.path.dirname(os.path.abspath(__file__))
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def preload(**more):
    return {**os.environ, "LD_PRELOAD": PRELOAD, **more}


def trap(**more):
    return preload(CLONE2_SHIM="trap", **more)


class Library(harness.Case):
    def link(self, source, *options):
        self.need_command("cc")
        program = self.path("linked")
        self.expect(harness.run(["cc", "-I", os.path.join(HERE, "../../shim"),
                                 os.path.join(HERE, source), "-o", program, *options]))
        return program

    def test_exported_symbols(self):
        result = self.expect(harness.run(["nm", "-D", "--defined-only", PRELOAD]))
        names = {line.split()[-1] for line in result.out.splitlines()}
        self.assertEqual(names, {"CLONE2_1", "clone2@@CLONE2_1", "clone2_call@@CLONE2_1",
                                 "syscall", "pthread_create",
                                 "sigaction", "signal", "bsd_signal", "ssignal", "sysv_signal",
                                 "__sysv_signal", "sigset", "sigignore",
                                 "sigprocmask", "pthread_sigmask", "sigblock", "sigsetmask",
                                 "sighold", "sigrelse", "sigpending",
                                 "sigsuspend", "ppoll", "__ppoll_chk", "pselect", "epoll_pwait",
                                 "epoll_pwait2"})

    def test_static_library_does_not_interpose(self):
        for archive in filter(None, (STATIC, os.environ.get("CLONE2_STATIC_I386"))):
            result = self.expect(harness.run(["nm", "-g", "--defined-only", archive]))
            # Nor does it take other names from the program.
            names = re.findall(r" [A-Z] (\w+)$", result.out, re.M)
            self.assertEqual(sorted(names), ["clone2", "clone2_call"])

    def test_the_planner_needs_no_function(self):
        """It runs where there may be no C library, so the compiler must not add memset()."""
        objects = os.path.join(os.path.dirname(STATIC), "libclone2-objects.a")
        result = self.expect(harness.run(["nm", objects]))
        members = {m.split(":", 1)[0]: m.split() for m in result.out.split("\n\n")}
        core = [symbols for name, symbols in members.items() if name.strip().endswith("core.c.o")]
        self.assertEqual(len(core), 1, members.keys())
        self.assertIn("clone2_plan", core[0])
        self.assertNotIn("U", core[0])

    def test_needs_no_executable_stack(self):
        result = self.expect(harness.run(["readelf", "-lW", PRELOAD]), out="GNU_STACK")
        line = [l for l in result.out.splitlines() if "GNU_STACK" in l][0]
        self.assertIn("RW ", line)
        self.assertNotIn("RWE", line)

    def test_linked_programs(self):
        self.assertEqual(len(LINKED), 2)
        for program in LINKED:
            with self.subTest(os.path.basename(program)):
                self.expect(harness.run([program]))

    def test_linking_replaces_nothing(self):
        """As installed, with -lclone2: the C library's functions stay in use."""
        self.need_command("pkg-config")
        root = self.path("root")
        self.expect(harness.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet",
                                 "--destdir", root]))
        [at] = [at for at, _, files in os.walk(root) if "clone2.pc" in files]
        libdir = os.path.dirname(at)
        flags = self.expect(harness.run(
            ["pkg-config", "--cflags", "--libs", "clone2"],
            env={**os.environ, "PKG_CONFIG_SYSROOT_DIR": root, "PKG_CONFIG_LIBDIR": at})).out
        program = self.link("link_test.c", *flags.split())
        self.expect(harness.run([program], env={**os.environ, "LD_LIBRARY_PATH": libdir}))
        used = self.expect(harness.run(["ldd", program],
                                       env={**os.environ, "LD_LIBRARY_PATH": libdir})).out
        for library in re.findall(re.escape(libdir) + r"/\S+", used):
            names = self.expect(harness.run(["nm", "-D", "--defined-only", library])).out
            self.assertNotRegex(names, r" (syscall|sigaction|signal|sigprocmask|pthread_create)\n")
        self.assertTrue(os.path.exists(os.path.join(libdir, "libclone2.so.1")))

    def test_linked_programs_read_no_environment(self):
        program = self.link("privileged.c", STATIC)
        for number in ("400", "x"):
            env = {**os.environ, "CLONE2_SHIM": "trap", "CLONE2_NR": number}
            result = self.expect(harness.run([program], env=env), out=f"400: -1 {errno.ENOSYS}")
            self.assertRegex(result.out, "seccomp 0")
            self.assertEqual(result.err, "")

    def test_privileged_programs_ignore_their_callers_environment(self):
        self.need_root()
        program = self.link("privileged.c", self.public_copy(PRELOAD), "-Wl,-rpath," + self.tmp)
        os.chmod(program, 0o4755)
        for number in ("105", "400", "x"):
            env = {**os.environ, "CLONE2_SHIM": "trap", "CLONE2_NR": number}
            result = self.expect(harness.run([*AS_NOBODY, program], env=env))
            self.assertEqual(result.out.splitlines(), [
                "started as 65534 0", "seccomp 0", f"400: -1 {errno.ENOSYS}",
                "dropped: 0, now 65534 65534 65534"], result)
            self.assertEqual(result.err, "")
        # These settings would be visible if the program used them.
        result = harness.run([program], env={**os.environ, "CLONE2_NR": "400"})
        self.expect(result, out=f"400: -1 {errno.EFAULT}")

    def test_linked_with_musl(self):
        self.need_command("musl-gcc")
        program = self.path("musl")
        self.expect(harness.run(["musl-gcc", "-static", "-I", os.path.join(HERE, "../../shim"),
                                 os.path.join(HERE, "link_test.c"), STATIC, "-o", program]))
        self.expect(harness.run([program]))


class Preloaded(harness.Case):
    def test_other_numbers_pass(self):
        self.expect(harness.run([PASSTHROUGH], env=preload()))

    def test_another_number_for_clone2(self):
        python = ("import ctypes, os, sys; libc = ctypes.CDLL(None, use_errno=True)\n"
                  "r = libc.syscall(int(sys.argv[1]), 8, 8); print(r, ctypes.get_errno())")
        no_number = "not a system call number; 387 is used"
        for nr, variable, want, said in (
                (337, "337", errno.EFAULT, ""), (387, "337", errno.ENOSYS, ""),
                (500, "500", errno.EFAULT, ""), (387, "", errno.EFAULT, ""),
                (387, "12x", errno.EFAULT, f"libclone2: CLONE2_NR=12x: {no_number}\n"),
                (387, "-1", errno.EFAULT, f"libclone2: CLONE2_NR=-1: {no_number}\n"),
                (387, "99999999999", errno.EFAULT,
                 f"libclone2: CLONE2_NR=99999999999: {no_number}\n"),
                (387, "\x1b" + 50 * "7", errno.EFAULT,
                 f"libclone2: CLONE2_NR=?{38 * '7'}...: {no_number}\n"),
                (387, "105", errno.EFAULT, "libclone2: CLONE2_NR=105: the number of another system "
                 "call; 387 is used\n")):
            result = harness.run([harness.PYTHON, "-c", python, str(nr)],
                                 env=preload(CLONE2_NR=variable))
            self.expect(result, out=f"-1 {want}")
            self.assertEqual(result.err, said)

    def test_unknown_mode(self):
        for mode, said in (("", ""),
                           ("foo", "libclone2: CLONE2_SHIM=foo: unknown mode (known: trap)\n")):
            result = harness.run(["grep", "Seccomp:", "/proc/self/status"],
                                 env=preload(CLONE2_SHIM=mode))
            self.expect(result, out="0")
            self.assertEqual(result.err, said)

    def test_number_is_never_called(self):
        """Another kernel may use the number for another call."""
        self.need_command("strace")
        trace = self.path("trace")
        self.expect(harness.run(["strace", "-f", "-o", trace, "-E", f"LD_PRELOAD={PRELOAD}", "-E",
                                 "CLONE2_SHIM=trap", "-E", "CLONE2_NR=400", "env", "true"]))
        lines = self.read("trace").splitlines()
        self.assertEqual(len([l for l in lines if re.search(r" seccomp\(.*= 0", l)]), 1)
        self.assertEqual([l for l in lines if re.search(r" syscall_(0x190|400)\(|--- SIGSYS", l)], [])

    def test_unprivileged(self):
        """EPERM is clone2's own answer; without pids every caller may call it."""
        self.need_root()
        library = self.public_copy(PRELOAD)
        env = {**os.environ, "LD_PRELOAD": library, "CLONE2_SHIM": "trap"}
        call = self.public_copy(harness.CALL)
        result = harness.run([*AS_NOBODY, call, "600"], env=env)
        self.assertEqual(harness.calls(result.out), ["EPERM"], result)
        result = harness.run([*AS_NOBODY, call], env=env)
        self.assertEqual([type(c) for c in harness.calls(result.out)], [int], result)

    def test_without_process_vm_readv(self):
        for number in (errno.ENOSYS, errno.EPERM):
            rule = f"{READV}={number}"
            result = harness.run([harness.REFUSE, rule, "--", harness.CALL, "-r", "3", "600"],
                                 env=trap())
            self.assertEqual(harness.calls(result.out), [600] * 3, result)
            result = harness.run([harness.REFUSE, rule, "--", harness.CALL, "-a"], env=trap())
            self.assertEqual(harness.calls(result.out), ["EFAULT"], result)

    def test_without_clone3(self):
        rule = f"{CLONE3}={errno.ENOSYS}"
        result = harness.run([harness.REFUSE, rule, "--", harness.CALL, "600"], env=trap())
        self.assertEqual(harness.calls(result.out), ["ENOSYS"], result)
        # Without pids it is clone(2).
        result = harness.run([harness.REFUSE, rule, "--", harness.CALL], env=trap())
        self.assertEqual([type(c) for c in harness.calls(result.out)], [int], result)

    def test_without_pids_it_is_clone(self):
        """Like under a supervisor: see test_kernels.py."""
        for error in (errno.ENOSYS, errno.EPERM):
            preloaded = preload(CLONE2_VIA="libc", CLONE2_ABSENT="bare-instruction")
            for env, checks in ((trap(), 4), (preloaded, 3)):
                with self.subTest(error=error, checks=checks):
                    result = harness.run([harness.REFUSE, f"{CLONE3}={error}", "--",
                                          harness.CONFORMANCE, "without-pids",
                                          "without-pids-settings", "without-pids-stacks",
                                          "without-pids-errors"], env=env)
                    self.expect(result, 0, out=f"{checks} passed, 0 failed, {4 - checks} skipped")

    def test_calls_it_cannot_make_reach_a_supervisor(self):
        log = self.path("log")
        rule = f"{CLONE3}={errno.ENOSYS}"
        result = harness.supervise("--log", log, "--", harness.REFUSE, rule, "--", "env",
                                   f"LD_PRELOAD={PRELOAD}", "CLONE2_SHIM=trap", harness.CALL, "600")
        self.assertEqual(harness.calls(result.out), ["ENOSYS"], result)
        self.assertRegex(self.read("log"), r"clone2\(SIGCHLD, \{600\}\) = -1 ENOSYS")

    def test_calls_it_can_make_do_not(self):
        log = self.path("log")
        result = harness.supervise("--log", log, "--", "env", f"LD_PRELOAD={PRELOAD}",
                                   "CLONE2_SHIM=trap", harness.CALL, "-r", "3", "600")
        self.assertEqual(harness.calls(result.out), [600] * 3, result)
        self.assertNotIn("{600", self.read("log"))
        # Without the library the supervisor handles the same call.
        harness.supervise("--log", log, "--", harness.CALL, "600")
        self.assertIn("600", self.read("log"))

    def test_the_log_says_so(self):
        # One line of each executed program, and none of its calls.
        trap = ["env", f"LD_PRELOAD={PRELOAD}", "CLONE2_SHIM=trap", harness.CALL, "-r", "3"]
        for command in (*([program] for program in LINKED), trap):
            with self.subTest(command=command):
                name = os.path.basename(command[-3] if command == trap else command[0])[:15]
                log = self.path("log")
                self.expect(harness.supervise("--log", log, "--", *command))
                self.assertRegex(self.read("log"),
                                 rf'^\S+ \d+ "{re.escape(name)}" uid={os.geteuid()} serves calls '
                                 r"itself, by libclone2: those are not logged here\n$")
                os.unlink(log)
                self.expect(harness.supervise("--log", log, "--log-format=json", "--", *command))
                line = json.loads(self.read("log"))
                self.assertEqual((line["comm"], line["uid"], line["served_by"]),
                                 (name, os.geteuid(), "libclone2"))
                os.unlink(log)

    def test_an_announcement_changes_nothing(self):
        # A prctl() that no kernel knows fails as it does without a supervisor.
        program = ("import ctypes; l = ctypes.CDLL(None, use_errno=True); "
                   "print(l.prctl(0x32656e73, 0, 0, 0, 0), ctypes.get_errno())")
        for options in ((), ("--log", self.path("log"))):
            with self.subTest(options=options):
                result = harness.supervise(*options, "--", harness.PYTHON, "-S", "-c", program)
                self.assertEqual(result.out, f"-1 {errno.EINVAL}\n", result)


class I386(harness.Case):
    """The same for i386 programs."""

    def run_program(self, name, *arguments, preloaded=True, **more):
        program = os.environ.get("CLONE2_I386_" + name)
        if not program:
            self.need_command("i686-linux-gnu-gcc")
        env = more
        if preloaded:
            env["LD_PRELOAD"] = os.environ["CLONE2_PRELOAD_I386"]
        self.expect(harness.run([program, *arguments], timeout=600, env={**os.environ, **env}))

    def test_linked_programs(self):
        self.run_program("LINK", preloaded=False)
        self.run_program("LINK_STATIC", preloaded=False)

    def test_other_numbers_pass(self):
        self.run_program("PASSTHROUGH")

    def test_unusual_places(self):
        self.run_program("TRAP", CLONE2_SHIM="trap")

    def test_programs_that_use_sigsys(self):
        for name in ("SIGSYS", "SIGSYS_TIME64"):
            self.run_program(name, preloaded=False)
            self.run_program(name)
            self.run_program(name, "clone2", CLONE2_SHIM="trap")

    def test_code_is_not_written_to(self):
        """No relocations in the code, no executable stack."""
        self.need_command("i686-linux-gnu-gcc")
        result = self.expect(harness.run(["readelf", "-dlW", os.environ["CLONE2_PRELOAD_I386"]]))
        self.assertRegex(result.out, r"GNU_STACK .* RW ")
        self.assertNotIn("TEXTREL", result.out)


class Trapped(harness.Case):
    def test_syscall_user_dispatch_is_refused(self):
        # It would intercept our handler's own system calls.
        code = ("import ctypes; libc = ctypes.CDLL(None, use_errno=True); allow = ctypes.c_byte(0);"
                "print(libc.prctl(59, 1, 0, 0, ctypes.byref(allow)), ctypes.get_errno())")
        for env, wanted in (({"CLONE2_SHIM": "trap"}, f"-1 {errno.EINVAL}\n"), ({}, "0 0\n")):
            result = harness.run([harness.PYTHON, "-c", code],
                                 env=preload(**env))
            self.assertEqual(result.out, wanted, result)

    def test_unusual_places(self):
        self.expect(harness.run([TRAP], timeout=600, env=trap()))

    def test_programs_that_use_sigsys(self):
        self.expect(harness.run([SIGSYS]))
        self.expect(harness.run([SIGSYS], env=preload()))
        self.expect(harness.run([SIGSYS, "clone2"], env=trap()))

    def test_only_on_request(self):
        result = harness.run([harness.CALL, "600"], env=preload())
        self.assertEqual(harness.calls(result.out), ["ENOSYS"], result)

    def test_across_exec(self):
        """One filter, whatever the number of executions; the library may be missing in between."""
        script = 'grep Seccomp_filters /proc/self/status; exec "$0" -r 2 600'
        result = harness.run(["sh", "-c", f"sh -c '{script}' {harness.CALL}"], env=trap())
        self.assertEqual(harness.calls(result.out), [600] * 2, result)
        self.assertRegex(result.out, r"Seccomp_filters:\s*1\b", result)
        # Without the handler the call raises SIGSYS, as the README says.
        result = harness.run(["env", "-u", "LD_PRELOAD", harness.CALL_STATIC, "600"], env=trap())
        self.assertEqual(result.status, -31, result)
        result = harness.run(["env", "-u", "LD_PRELOAD", "true"], env=trap())
        self.assertEqual(result.status, 0, result)

    def test_foreign_sigsys_is_fatal(self):
        script = "import os, signal; os.kill(os.getpid(), signal.SIGSYS)"
        result = harness.run([harness.PYTHON, "-c", script], env=trap())
        self.assertEqual(result.status, -31, result)

    def test_strace(self):
        self.need_command("strace")
        trace = self.path("trace")
        result = harness.run(["strace", "-f", "-o", trace, "-E", f"LD_PRELOAD={PRELOAD}", "-E",
                              "CLONE2_SHIM=trap", harness.CALL, "-r", "3", "600"])
        self.assertEqual(harness.calls(result.out), [600] * 3, result)
        self.assertEqual(len(re.findall(r"SIGSYS \{si_signo=SIGSYS, si_code=SYS_SECCOMP",
                                        self.read("trace"))), 3)
        self.assertRegex(self.read("trace"), r"set_tid=\[600\]")

    def test_gdb(self):
        self.need_command("gdb")
        for follow in ("parent", "child"):
            result = harness.run(
                ["gdb", "-q", "-batch", "-nx", "-ex", "set startup-with-shell off",
                 "-ex", f"set environment LD_PRELOAD {PRELOAD}",
                 "-ex", "set environment CLONE2_SHIM trap",
                 "-ex", "handle SIGSYS nostop noprint pass",
                 "-ex", f"set follow-fork-mode {follow}",
                 "-ex", "run", "--args", harness.CALL, "-r", "1", "600"])
            wanted = r"exited normally|Inferior 2 \(process \d+\) exited"
            self.assertRegex(result.out, wanted, result)
            if follow == "parent":
                self.assertEqual(harness.calls(result.out), [600], result)


if __name__ == "__main__":
    harness.main()
