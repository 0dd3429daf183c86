# SPDX-License-Identifier: MIT
"""Small resource limits at start-up: PROGRAM has clone2, or does not run and a message says why."""
import errno
import os
import resource

import harness
import procs

# Processes that call one after the other, by the code that their parent has booted.
MANY_CALLERS = """
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
def call():
    child = libc.syscall(387, struct.pack("QQIIIIQ", 17, 0, 0, 0, 0, 0, 0), None)
    if child == 0:
        os._exit(0)
    if child < 0:
        print(os.strerror(ctypes.get_errno()), flush=True)
        os._exit(1)
    os.waitpid(child, 0)
call()
for _ in range(24):
    caller = os.fork()
    if caller == 0:
        for _ in range(4):
            call()
        os._exit(0)
    os.waitpid(caller, 0)
print("all called")
"""
EPOLL_CREATE1 = 291  # x86-64: of all the processes only the serving process calls it
MIB = 1 << 20


def limited(kind, value, uid=None):
    """A preexec_fn."""
    def limit():
        if uid is not None:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        resource.setrlimit(kind, (value, value))
    return limit


class Limits(harness.Case):
    def start(self, limit):
        # Static: it needs next to nothing to start.
        return harness.run([harness.SUPERVISE, "--", harness.CALL_STATIC, "7000"],
                           preexec_fn=limit)

    def judge(self, result):
        """Whether PROGRAM ran."""
        if result.out:
            self.assertEqual(harness.calls(result.out), [7000], result)
            return True
        self.assertNotEqual(result.status, 0, result)
        self.assertNotEqual(result.err, "", result)
        return False

    def series(self, kind, values):
        """From a limit under which nothing starts to one under which everything does."""
        ran = []
        for value in values:
            with self.subTest(limit=value):
                result = self.start(limited(kind, value))
                ran.append(self.judge(result))
                # A further thread that can't be created later does no harm.
                if not ran[-1] and result.err.startswith("clone2-supervise: "):
                    self.assertEqual(result.status, 125, result)
        self.assertIn(True, ran)
        self.assertIn(False, ran)

    def test_stack(self):
        # RLIMIT_STACK is the default size of threads' stacks: more than can be mapped.
        for size in (64 << 10, 25 << 30, 100 << 30, resource.RLIM_INFINITY):
            with self.subTest(size=size):
                self.assertTrue(self.judge(self.start(limited(resource.RLIMIT_STACK, size))))

    def test_address_space(self):
        self.series(resource.RLIMIT_AS, [*range(4 * MIB, 16 * MIB, MIB // 2), 64 * MIB])

    def test_data(self):
        self.series(resource.RLIMIT_DATA, [*range(MIB // 4, 3 * MIB, MIB // 8), 64 * MIB])

    def test_descriptors(self):
        self.series(resource.RLIMIT_NOFILE, range(4, 32))

    def test_descriptors_one_by_one(self):
        # With 3 the dynamic linker can't open a library.
        for most in range(3, 21):
            with self.subTest(descriptors=most):
                result = self.start(limited(resource.RLIMIT_NOFILE, most))
                if most == 3 and result.status == 127:
                    self.assertIn("shared libraries", result.err, result)
                elif not self.judge(result):
                    self.assertEqual(result.status, 125, result)
                    self.assertRegex(result.err, "^clone2-supervise: 11 more descriptors: Too many "
                                                 rf"open files \(ulimit -n is {most}\)\n$")
                    self.assertLess(most, 16, result)
                self.assertEqual(procs.named(procs.COMMAND), [], result)
                self.assertEqual(procs.named(procs.SERVE), [], result)

    def test_few_descriptors_and_many_callers(self):
        for most in (16, 17, 20, 24, 32, 40, 64):
            with self.subTest(descriptors=most):
                result = harness.run([harness.SUPERVISE, "--", harness.PYTHON, "-c", MANY_CALLERS],
                                     preexec_fn=limited(resource.RLIMIT_NOFILE, most))
                self.assertEqual(result.out, "all called\n", result)

    def test_descriptors_of_others(self):
        # --check and an agent want as many as the wrapper.
        enough = set()
        for most in (4, 5, 8, 12, 13, 14):
            with self.subTest(descriptors=most):
                limit = limited(resource.RLIMIT_NOFILE, most)
                enough.add((most, self.judge(self.start(limit))))
                checked = harness.run([harness.SUPERVISE, "--check=descriptors"], preexec_fn=limit)
                agent = harness.run(
                    [harness.SUPERVISE, "--listen", self.path("no") + "/folder/", "--policy", "none"],
                    preexec_fn=limit)
                limits = f"11 more descriptors: Too many open files (ulimit -n is {most})"
                if most == 14:
                    self.expect(checked, 0, out="descriptors            yes")
                    self.assertNotIn("descriptors: ", agent.err)
                else:
                    self.expect(agent, 125, err=limits)
                    if most > 4:
                        self.expect(checked, 1, out=limits)
        self.assertEqual(enough, {(most, most == 14) for most, _ in enough})

    def test_processes(self):
        self.need_root()
        command, program = map(self.public_copy, (harness.SUPERVISE, harness.CALL_STATIC))
        # No other process's, and a new one each time: the processes of the last one may still
        # exist.
        uid = 1_000_000_000 + os.stat("/proc/self/ns/pid").st_ino % 1_000_000 * 100
        failures = []
        for most in range(1, 12):
            with self.subTest(processes=most):
                result = harness.run([command, "--", program],
                                     preexec_fn=limited(resource.RLIMIT_NPROC, most, uid + most))
                if "pid " in result.out or result.out == f"errno {errno.EAGAIN}\n":
                    continue
                self.assertEqual((result.status, result.out), (125, ""), result)
                # Two processes may each have failed.
                for line in result.err.splitlines():
                    self.assertRegex(line, r"(fork|pthread_create\(\)): Resource temporarily "
                                           rf"unavailable \(ulimit -u is {most}; ")
                failures.append(result.err)
        self.assertTrue([text for text in failures if "pthread_create" in text], failures)

    def test_serving_process_is_killed_at_its_start(self):
        result = harness.run([harness.REFUSE, f"{EPOLL_CREATE1}=kill", "--", harness.SUPERVISE,
                              "--", harness.CALL])
        self.assertEqual((result.status, result.out), (125, ""), result)
        self.assertIn("the serving process was killed", result.err)


if __name__ == "__main__":
    harness.main()
