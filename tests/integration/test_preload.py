# SPDX-License-Identifier: MIT
"""--preload: libclone2 serves PROGRAM's calls of syscall(); the supervisor serves the rest."""
import os
import shutil
import signal
import subprocess

import harness
import procs

I386_LIBDIR = os.environ.get("CLONE2_I386_LIBDIR")    # below the prefix
AS_NOBODY = ("setpriv", f"--reuid={harness.NOBODY}", f"--regid={harness.NOBODY}", "--clear-groups")

# One call by libc's syscall(). Arguments: number, pid.
CALL = """
import ctypes, errno, os, struct, sys
libc = ctypes.PyDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
pid = libc.syscall(int(sys.argv[1]), struct.pack("=QQIIIIQ", 17, 0, 1, 0, 0, 0, 0),
                   struct.pack("i", int(sys.argv[2])))
if pid == 0:
    os._exit(7)
if pid < 0:
    print("errno", ctypes.get_errno())
else:
    print("pid", pid, "status", os.waitpid(pid, 0)[1])
"""

# The same by a 32-bit program, for pid 7100.
CALL32 = """
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
    struct { uint64_t flags, stack; uint32_t nr_pids, ptid, ctid, r1; uint64_t r2; } args = {17, 0, 1};
    int pid = 7100, status = 0;
    long child = syscall(387, &args, &pid);
    if (child == 0)
        _exit(7);
    if (child < 0)
        return 1;
    waitpid(child, &status, 0);
    printf("pid %ld status %d\\n", child, status);
    return 0;
}
"""


def by_libc(pid, number=387):
    return harness.PYTHON, "-c", CALL, str(number), str(pid)


class Preload(harness.Case):
    def preload(self, *arguments, **kw):
        return harness.supervise("--preload", *arguments, **kw)

    def expect_call(self, pid, program, *options, supervised, **kw):
        """One call that succeeds, and where it was served."""
        result = self.expect(self.preload("-vv", *options, "--", *program, **kw))
        self.assertEqual(harness.calls(result.out), [pid], result)
        self.assertEqual(" received: " in result.err, supervised, result)
        return result

    def test_calls_of_syscall(self):
        said = self.expect_call(7000, by_libc(7000), supervised=False).err
        self.assertIn(f"clone2-supervise: preloading {harness.PRELOAD} for number 387\n", said)

    def test_bare_instructions(self):
        self.expect_call(7000, (harness.CALL, "7000"), supervised=True)

    def test_static_programs(self):
        self.expect_call(7000, (harness.CALL_STATIC, "7000"), supervised=True)

    def test_privileged_programs(self):
        self.need_root()
        call = self.public_copy(harness.CALL)
        os.chmod(call, 0o4755)
        program = ("setpriv", f"--reuid={harness.NOBODY}", "--clear-groups", call, "-u", "7000")
        result = self.expect_call(7000, program, supervised=True)
        self.assertIn(f"{harness.NOBODY} 0", result.out)
        self.assertNotIn("ld.so", result.err)

    def test_other_numbers(self):
        for numbers, number, supervised in (
                ("337", 337, False), ("500,387", 500, False), ("500,387", 387, True),
                ("i386:387,387", 387, False), ("300=eclone,500", 500, False)):
            with self.subTest(numbers=numbers, number=number):
                self.expect_call(7000, by_libc(7000, number), "-n", numbers, supervised=supervised)

    def test_numbers_not_asked_for(self):
        """A number in the environment belongs to somebody else's run."""
        env = {**os.environ, "CLONE2_NR": "500"}
        for options, number, result in (((), 500, ["ENOSYS"]), ((), 387, [7000]),
                                        (("-n", "337"), 387, ["ENOSYS"])):
            with self.subTest(options=options, number=number):
                ran = self.preload(*options, "--", *by_libc(7000, number), env=env)
                self.assertEqual(harness.calls(ran.out), result, ran)

    def test_numbers_that_the_library_does_not_serve(self):
        for numbers in ("300=eclone", "i386:387", "336"):
            with self.subTest(numbers=numbers):
                result = self.expect(self.preload("-n", numbers, "--", "echo", "ran"), 125,
                                     err="--preload: libclone2.so.1 serves no call of --nr")
                self.assertEqual(result.out, "")

    def test_under_a_tracer(self):
        self.need_command("strace")
        trace = ("strace", "-f", "-o", self.path("trace"))
        self.expect_call(7000, trace + by_libc(7000), supervised=False)
        # The supervisor can't serve it there.
        result = harness.supervise("--", *trace, *by_libc(7000))
        self.assertEqual(harness.calls(result.out), ["EPERM"], result)

    def test_without_the_supervisor(self):
        """The library needs none. Calls that reach the filter end, as ever, with ENOSYS."""
        ready, go = self.path("ready"), self.path("go")
        os.mkfifo(ready)
        os.mkfifo(go)
        script = f"""echo > {ready}; cat {go}; "$@"; {harness.CALL} 7001"""
        run = self.start(harness.SUPERVISE, "--preload", "--", "sh", "-c", script, "sh",
                         *by_libc(7000), stdout=subprocess.PIPE)
        with open(ready) as started:
            started.read()
        [serving] = procs.named(procs.SERVE)
        os.kill(serving.pid, signal.SIGKILL)
        self.wait(lambda: not procs.named(procs.SERVE), "its end")
        with open(go, "w"):
            pass
        self.assertEqual(harness.calls(run.stdout.read()), [7000, "ENOSYS"])
        self.finish(run)

    def test_in_a_new_pid_namespace(self):
        self.expect_call(77, by_libc(77), "--pidns", supervised=False)

    def test_environment(self):
        """The same, in the same order, but for LD_PRELOAD."""
        for given, becomes in (({}, harness.PRELOAD), ({"LD_PRELOAD": ""}, harness.PRELOAD),
                               ({"LD_PRELOAD": "libdl.so.2"}, harness.PRELOAD + ":libdl.so.2")):
            with self.subTest(given=given):
                env = {"B": "2", **given, "A": "1"}
                result = self.expect(self.preload("--", "/usr/bin/env", env=env))
                after = {**env, "LD_PRELOAD": becomes}
                self.assertEqual(result.out, "".join(f"{k}={v}\n" for k, v in after.items()))
                self.assertEqual(result.err, "")

    def test_only_the_number_is_added(self):
        result = self.expect(self.preload("-n", "500", "--", "/usr/bin/env", env={"A": "1"}))
        self.assertEqual(result.out, f"A=1\nLD_PRELOAD={harness.PRELOAD}\nCLONE2_NR=500\n")

    def test_exit_status_and_missing_programs(self):
        self.expect(self.preload("--", "sh", "-c", "exit 3"), 3)
        self.expect(self.preload("--", self.path("none")), 127)

    def test_what_would_miss_calls(self):
        for option in (("--log", "-"), ("--stats",)):
            with self.subTest(option=option):
                result = self.expect(self.preload(*option, "--", "echo", "ran"), 125)
                self.assertEqual((result.out, result.err),
                                 ("", f"clone2-supervise: --preload: {option[0]} would miss the "
                                      "calls that the library serves\n"))


class Place(harness.Case):
    """Where the library is looked for."""

    def install(self, root, library=True):
        """A copy as installed below `root`. Returns the command and where the library belongs."""
        command = os.path.join(root, "bin/clone2-supervise")
        where = os.path.join(root, harness.LIBDIR, "libclone2.so.1")
        for path in (command, where):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copy(harness.SUPERVISE, command)
        if library:
            shutil.copy(harness.PRELOAD, where)
        return command, where

    def refused(self, command):
        result = self.expect(harness.run([command, "--preload", "--", "echo", "ran"]), 125)
        self.assertEqual(result.out, "")
        self.assertEqual(result.err.count("\n"), 1, result)
        self.expect(harness.run([command, "--check=preload"]), 1, out="--preload can't be used")
        return result.err

    def test_installed(self):
        command, where = self.install(self.path("root"))
        result = self.expect(harness.run([command, "--preload", "-vv", "--", *by_libc(7000)]))
        self.assertEqual(harness.calls(result.out), [7000], result)
        self.assertIn(f"preloading {where} for", result.err)
        self.assertNotIn(" received: ", result.err)
        self.expect(harness.run([command, "--check=preload"]), out=where)

    def test_programs_of_both_widths(self):
        self.need_command("i686-linux-gnu-gcc")
        self.need("i386-libdir", I386_LIBDIR)
        root = self.path("root")
        command, where = self.install(root)
        other = os.path.join(root, I386_LIBDIR, "libclone2.so.1")
        os.makedirs(os.path.dirname(other))
        shutil.copy(os.environ["CLONE2_PRELOAD_I386"], other)
        program = self.path("program")
        with open(self.path("program.c"), "w") as source:
            source.write(CALL32)
        loader = subprocess.run(["i686-linux-gnu-gcc", "-print-file-name=ld-linux.so.2"], check=True,
                                text=True, stdout=subprocess.PIPE).stdout.strip()
        subprocess.run(["i686-linux-gnu-gcc", "-o", program, self.path("program.c"),
                        f"-Wl,--dynamic-linker={loader}", f"-Wl,-rpath={os.path.dirname(loader)}"],
                       check=True)
        both = ("sh", "-c", '"$0" && exec "$@"', program, *by_libc(7000))
        result = self.expect(harness.run([command, "--preload", "-vv", "--", *both]))
        self.assertEqual(harness.calls(result.out), [7100, 7000], result)
        self.assertIn(f"preloading {root}/$LIB/libclone2.so.1 for", result.err)
        self.assertNotIn(" received: ", result.err)
        self.assertNotIn("ld.so", result.err)
        # Not where only the 64-bit programs' number is served.
        result = self.expect(harness.run([command, "--preload", "-vv", "-n", "387", "--",
                                          *by_libc(7000)]))
        self.assertIn(f"preloading {where} for", result.err)
        os.remove(other)
        result = self.expect(harness.run([command, "--preload", "-vv", "--", *by_libc(7000)]))
        self.assertIn(f"preloading {where} for", result.err)

    def test_without_privilege(self):
        self.need_root()  # to become somebody without
        python = "/usr/bin/python3"
        self.need_file("python", python)
        command, _ = self.install(self.path("root"))
        result = harness.run([*AS_NOBODY, command, "--preload", "-vv", "--pidns", "--", python, "-c",
                              CALL, "387", "77"], cwd="/")
        self.assertEqual(harness.calls(self.expect(result).out), [77], result)
        self.assertNotIn(" received: ", result.err)

    def test_in_the_build_directory(self):
        self.expect(harness.supervise("--check=preload"), out=harness.PRELOAD)

    def test_missing(self):
        command, _ = self.install(self.path("root"), library=False)
        self.assertIn("no libclone2.so.1 was installed with this command", self.refused(command))
        # Only --preload needs it.
        self.expect(harness.run([command, "--", "true"]))

    def test_owned_by_somebody_else(self):
        """Who could write to the directory above could run code in every PROGRAM."""
        self.need_root()
        command, where = self.install(self.path("root"))
        os.chown(where, harness.NOBODY, harness.NOBODY)
        self.refused(command)
        os.chown(command, harness.NOBODY, harness.NOBODY)
        self.expect(harness.run([command, "--preload", "--", "true"]))

    def test_paths_that_the_dynamic_linker_would_change(self):
        for name in ("a b", "a:b", "$LIB"):
            with self.subTest(name=name):
                command, _ = self.install(self.path(name))
                result = self.expect(
                    harness.run([command, "--preload", "--", "echo", "ran"]), 125,
                    err="a path in LD_PRELOAD can't contain")
                self.assertEqual(result.out, "")


if __name__ == "__main__":
    harness.main()
