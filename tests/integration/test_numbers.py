# SPDX-License-Identifier: MIT
"""Other numbers and forms of the call, beside the system calls that have these numbers today."""
import os
import subprocess

import harness

# eclone by the number of fanotify_init, by a program of 64 bits.
ECLONE = """
import ctypes, errno, os, sys
libc = ctypes.PyDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(flags, args, size, pids):
    got = libc.syscall(300, ctypes.c_uint(flags), args, size, pids)
    return got if got >= 0 else errno.errorcode[ctypes.get_errno()]
def struct(nr_pids=0, high=0, stack=0, stack_size=0, reserved=0):
    return (ctypes.c_uint64 * 6)(high, stack, stack_size, 0, 0, nr_pids | reserved << 32)
def pids(*numbers):
    return (ctypes.c_int * len(numbers))(*numbers)
def child(args, numbers):
    pid = call(17, args, 48, numbers)
    if pid == 0:
        os._exit(7)
    if isinstance(pid, str):
        return pid
    assert os.waitpid(pid, 0)[1] == 7 << 8
    return pid
assert child(struct(1), pids(7000)) == 7000
assert child(struct(), None) > 0
for wrong in (struct(1, high=1), struct(1, stack_size=4096), struct(1, reserved=1), struct(40)):
    assert child(wrong, pids(7001)) == 'EINVAL', list(wrong)
assert child(struct(1), None) == 'EFAULT'
assert child(struct(1), pids(os.getpid())) == 'EBUSY'
# fanotify_init(flags, event_f_flags), whatever is in the third register
for third in (0, 48):
    got = libc.syscall(300, ctypes.c_uint(0), ctypes.c_uint(os.O_CLOEXEC), third)
    err = ctypes.get_errno()
    assert got >= 0 or err in (errno.EPERM, errno.EMFILE), (got, err)
    if got >= 0: os.close(got)
print('ok')
"""

# clone2 by the number of recvmmsg, and the call before it, by a program of 32 bits.
I386 = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static long call(long nr, long a, long b, long c, long d, long e, long f)
{
    long result;
    __asm__ volatile("push %%ebp\n\tmov %[f], %%ebp\n\tint $0x80\n\tpop %%ebp"
                     : "=a"(result)
                     : "0"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e), [f] "m"(f)
                     : "memory");
    return result;
}

struct clone_struct {
    uint64_t flags, child_stack;
    uint32_t nr_pids, parent_tid, child_tid, reserved1;
    uint64_t reserved2;
};
static struct clone_struct args = {17, 0, 1, 0, 0, 0, 0}; /* not on the stack: a low address */
static int pid = 7100;
static int (*pid_pointer) = &pid;

static void expect(const char *what, long got, long wanted)
{
    if (got == wanted)
        return;
    printf("%s: %ld, not %ld\n", what, got, wanted);
    exit(1);
}

static void reap(long child)
{
    int status;
    expect("waitpid", waitpid((pid_t)child, &status, 0), child);
    expect("status", status, 5 << 8);
}

int main(int argc, char **argv)
{
    const long nr = atol(argv[1]);
    if (argc > 2) { /* clone_with_pids */
        struct { int num_pids; int *pids; } set = {1, pid_pointer};
        long child = call(nr, 17, 0, 0, 0, 0, (long)&set);
        if (child == 0)
            _exit(5);
        expect("clone_with_pids", child, 7100);
        reap(child);
        child = call(nr, 17, 0, 0, 0, 0, 0);
        if (child == 0)
            _exit(5);
        expect("without a set", child > 0, 1);
        reap(child);
        set.num_pids = -1;
        expect("num_pids -1", call(nr, 17, 0, 0, 0, 0, (long)&set), -EINVAL);
        set.num_pids = 1;
        set.pids = NULL;
        expect("no pids", call(nr, 17, 0, 0, 0, 0, (long)&set), -EFAULT);
        expect("no set", call(nr, 17, 0, 0, 0, 0, 16), -EFAULT);
    } else {
        const long child = call(nr, (long)&args, (long)pid_pointer, 0, 0, 0, 0);
        if (child == 0)
            _exit(5);
        expect("clone2", child, 7100);
        reap(child);
    }
    int ends[2];
    char text[3] = "";
    struct iovec piece = {text, 2};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}};
    if (argc == 2) {
        expect("socketpair", socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
        expect("send", send(ends[0], "hi", 2, 0), 2);
        expect("recvmmsg", call(337, ends[1], (long)&message, 1, 0, 0, 0), 1);
        expect("text", strcmp(text, "hi"), 0);
        expect("recvmmsg", call(337, -1, (long)&message, 1, 0, 0, 0), -EBADF);
    }
    puts("ok");
    return 0;
}
"""


class Numbers(harness.Case):
    def test_eclone_beside_fanotify_init(self):
        run = harness.supervise("--nr", "300=eclone", "--", harness.PYTHON, "-c", ECLONE)
        self.expect(run, 0, out="ok\n")

    def test_number_of_another_call(self):
        for numbers in ("300", "x86_64:300=clone2", "x86_64:39=eclone", "i386:338=clone2"):
            with self.subTest(numbers):
                run = harness.supervise("--nr", numbers, "--", "true")
                self.expect(run, 125, err="is the system call")

    def program32(self):
        self.need_command("i686-linux-gnu-gcc")
        source, program = self.path("p.c"), self.path("p")
        with open(source, "w") as f:
            f.write(I386)
        subprocess.run(["i686-linux-gnu-gcc", "-O1", "-static", "-no-pie", "-fno-pic", "-o",
                        program, source], check=True)
        return program

    def test_clone2_beside_recvmmsg(self):
        program = self.program32()
        for nr in ("387", "337"):
            run = harness.supervise("--nr", f"387,i386:{nr}", "--", program, nr)
            self.expect(run, 0, out="ok\n")

    def test_clone_with_pids(self):
        run = harness.supervise("--nr", "i386:337=clone_with_pids", "--", self.program32(), "337",
                                "set")
        self.expect(run, 0, out="ok\n", err="recvmmsg")


if __name__ == "__main__":
    harness.main()
