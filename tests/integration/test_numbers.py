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

# clone2 by the number of recvmmsg, by a program of 64 bits.
CLONE2 = """
import ctypes, errno, os, socket
libc = ctypes.PyDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
args = (ctypes.c_uint64 * 5)(17, 0, 1, 0, 0)
pid = libc.syscall(299, args, (ctypes.c_int * 1)(7100))
if pid == 0:
    os._exit(5)
assert pid == 7100, (pid, ctypes.get_errno())
assert os.waitpid(pid, 0)[1] == 5 << 8
one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
one.send(b'hi')
text = ctypes.create_string_buffer(2)
piece = (ctypes.c_uint64 * 2)(ctypes.addressof(text), 2)
message = (ctypes.c_uint64 * 8)(0, 0, ctypes.addressof(piece), 1)
assert libc.syscall(299, other.fileno(), message, 1, 0, None) == 1
assert text.raw == b'hi'
for wrong in (ctypes.c_long(-1), ctypes.c_uint(0xffffffff), 1 << 20):
    assert libc.syscall(299, wrong, message, 1, 0, None) == -1
    assert ctypes.get_errno() == errno.EBADF, wrong
print('ok')
"""

# The calls given as NUMBER:ARGUMENT..., each made twice; what they return.
CALLS = """
import ctypes, errno, sys
libc = ctypes.PyDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
room = ctypes.addressof(ctypes.create_string_buffer(4096))
for text in sys.argv[1:]:
    number, *arguments = [ctypes.c_long(room if word == 'p' else int(word, 0))
                          for word in text.split(':')]
    for _ in range(2):
        got = libc.syscall(number, *arguments)
        print(got if got >= 0 else errno.errorcode[ctypes.get_errno()])
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

# eclone by the number of fanotify_init, by a program of 32 bits: the end of I386.
ECLONE32 = r"""
int main(void)
{
    static struct {
        uint64_t flags_high, child_stack, child_stack_size, parent_tid, child_tid;
        uint32_t nr_pids, reserved0;
    } eclone = {.nr_pids = 1};
    const long child = call(338, 17, (long)&eclone, 48, (long)pid_pointer, 0, 0);
    if (child == 0)
        _exit(5);
    expect("eclone", child, 7100);
    reap(child);
    /* fanotify_init(flags, event_f_flags), whatever is in the third register */
    for (long third = 0; third <= 48; third += 48) {
        const long fd = call(338, 0, 02000000 /* O_CLOEXEC */, third, 0, 0, 0);
        expect("fanotify_init", fd >= 0 || fd == -EPERM || fd == -EMFILE, 1);
    }
    expect("a wrong flag", call(338, 0x7ff00000, 0, 48, 0, 0, 0), geteuid() == 0 ? -EINVAL : -EPERM);
    (void)args;
    puts("ok");
    return 0;
}
"""

# i386 calls of a program of 64 bits. CLONE_SETTLS has i386's meaning: a struct user_desc in esi.
INT80 = r"""
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct clone_struct {
    uint64_t flags, child_stack;
    uint32_t nr_pids, parent_tid, child_tid, reserved1;
    uint64_t reserved2;
};

static uint64_t in_r8, in_r15;

/* With other values in the upper halves of the arguments, which are not theirs. */
static long call(long nr, const void *a, const void *b, const void *d)
{
    const uint64_t upper = 0xabcdef0100000000;
    register uint64_t r8 __asm__("r8") = 0x8888888888888888;
    register uint64_t r15 __asm__("r15") = 0xffffffffffffff15;
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result), "+r"(r8), "+r"(r15)
                     : "0"(nr), "b"((uint64_t)a | upper), "c"((uint64_t)b | upper),
                       "S"((uint64_t)d | upper)
                     : "memory");
    in_r8 = r8;
    in_r15 = r15;
    return result;
}

static void expect(const char *what, long got, long wanted)
{
    if (got == wanted)
        return;
    printf("%s: %ld, not %ld\n", what, got, wanted);
    exit(1);
}

int main(void)
{
    struct low {
        struct clone_struct args;
        int pid;
        struct user_desc tls, seen;
    } *low = mmap(NULL, sizeof *low, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    for (int i = 0; i < 5; i++) {
        const int tls = i % 2;
        int status;
        low->args = (struct clone_struct){17 | (tls ? 0x80000 : 0), 0, 1, 0, 0, 0, 0};
        low->pid = 7200 + i;
        low->tls = (struct user_desc){.entry_number = 13, .base_addr = 0x1234000 + i,
                                      .limit = 1, .seg_32bit = 1, .useable = 1};
        const long child = call(387, &low->args, &low->pid, &low->tls);
        if (child == 0) {
            low->seen.entry_number = 13;
            const long err = call(244, &low->seen, NULL, NULL); /* get_thread_area */
            _exit(err ? 9 : getpid() == low->pid ? 5 : 6);
        }
        expect("clone2", child, 7200 + i);
        expect("r8", in_r8, 0x8888888888888888);
        expect("r15", in_r15, 0xffffffffffffff15);
        expect("waitpid", waitpid((pid_t)child, &status, 0), child);
        expect("status", status, 5 << 8);
        expect("the segment's base", low->seen.base_addr, tls ? 0x1234000 + i : 0);
    }
    low->pid = 1;
    expect("a pid in use", call(387, &low->args, &low->pid, NULL), -16);
    puts("ok");
    return 0;
}
"""


class Numbers(harness.Case):
    def test_eclone_beside_fanotify_init(self):
        run = harness.supervise("--nr", "300=eclone", "--", harness.PYTHON, "-c", ECLONE)
        self.expect(run, 0, out="ok\n")

    def test_clone2_beside_recvmmsg_of_64_bits(self):
        for numbers in ("299", "387,i386:337,x86_64:299=clone2"):
            with self.subTest(numbers):
                run = harness.supervise("--nr", numbers, "--", harness.PYTHON, "-c", CLONE2)
                self.expect(run, 0, out="ok\n")

    def test_number_of_another_call(self):
        for numbers in ("300", "x86_64:300=clone2", "x86_64:39=eclone", "i386:338=clone2"):
            with self.subTest(numbers):
                run = harness.supervise("--nr", numbers, "--", "true")
                self.expect(run, 125, err="is the system call")

    def program32(self, text=I386):
        self.need_command("i686-linux-gnu-gcc")
        source, program = self.path("p.c"), self.path("p")
        with open(source, "w") as f:
            f.write(text)
        subprocess.run(["i686-linux-gnu-gcc", "-O1", "-static", "-no-pie", "-fno-pic", "-o",
                        program, source], check=True)
        return program

    def test_clone2_beside_recvmmsg(self):
        program = self.program32()
        for nr in ("387", "337"):
            run = harness.supervise("--nr", f"387,i386:{nr}", "--", program, nr)
            self.expect(run, 0, out="ok\n")

    def test_eclone_beside_fanotify_init_on_i386(self):
        program = self.program32(I386[:I386.index("int main(")] + ECLONE32)
        self.expect(harness.supervise("--nr", "i386:338=eclone", "--", program), 0, out="ok\n")

    def test_int80_of_64_bit_program(self):
        self.need_command("gcc")
        source, program = self.path("p.c"), self.path("p")
        with open(source, "w") as f:
            f.write(INT80)
        # Code where 32-bit programs have theirs, and where they can't.
        for place in (["-static", "-no-pie"], ["-pie", "-fPIE"]):
            with self.subTest(place):
                subprocess.run(["gcc", "-O1", *place, "-o", program, source], check=True)
                self.expect(harness.supervise("--", program), 0, out="ok\n")

    def test_clone_with_pids(self):
        run = harness.supervise("--nr", "i386:337=clone_with_pids", "--", self.program32(), "337",
                                "set")
        self.expect(run, 0, out="ok\n", err="recvmmsg")


class Mistakes(harness.Case):
    """Calls that nobody serves: the kernel answers them as without us, and a message names them."""

    def same_answers(self, *calls, options=()):
        """Returns what the wrapper says."""
        program = [harness.PYTHON, "-c", CALLS, *calls]
        bare = harness.run(program)
        wrapped = harness.supervise(*options, "--", *program)
        self.assertEqual((wrapped.status, wrapped.out), (0, bare.out), wrapped)
        self.assertEqual(len(bare.out.splitlines()), 2 * len(calls), bare)
        return wrapped.err

    def mentioned(self, err, *calls):
        """Each of these calls has one line, and there is no other."""
        lines = err.splitlines()
        self.assertEqual(len(lines), len(calls), err)
        for line, (number, remedy) in zip(lines, calls):
            self.assertIn(f"system call {number} of thread ", line)
            self.assertIn(remedy, line)

    def test_x32(self):
        err = self.same_answers(f"{0x40000000 | 387}:p:p")
        self.mentioned(err, ("x32:387", "is not served: programs of this ABI are not"))

    def test_number_of_the_proposal(self):
        err = self.same_answers("337:p:p")
        self.mentioned(err, ("337", "(--nr 387,i386:387,337 would serve it)"))

    def test_standard_number_beside_another(self):
        err = self.same_answers("387:p:p", options=["--nr", "500"])
        self.mentioned(err, ("387", "(--nr 500,387 would serve it)"))

    def test_eclone(self):
        err = self.same_answers("300:17:p:48:p")
        self.mentioned(err, ("300", "(--nr 387,i386:387,300=eclone would serve it)"))

    def test_other_calls_are_not_mentioned(self):
        err = self.same_answers("300:0x7fffffff:0:0", "300:-1:0:48", "299:-1:p:1:0:0", "386", "388",
                                f"{0x40000000 | 39}")
        self.mentioned(err)

    def test_quiet(self):
        self.mentioned(self.same_answers("337:p:p", options=["--quiet"]))

    def i386(self, source, *numbers, options=()):
        self.need_command("i686-linux-gnu-gcc")
        with open(self.path("p.c"), "w") as f:
            f.write(source)
        subprocess.run(["i686-linux-gnu-gcc", "-O1", "-static", "-no-pie", "-fno-pic", "-o",
                        self.path("p"), self.path("p.c")], check=True)
        bare = harness.run([self.path("p"), *numbers])
        wrapped = harness.supervise(*options, "--", self.path("p"), *numbers)
        self.assertEqual((wrapped.status, wrapped.out), (bare.status, bare.out), wrapped)
        return wrapped

    def test_architecture_that_is_not_listed(self):
        run = self.i386(I386, "387", options=["--nr", "387"])
        self.assertEqual(run.out, "clone2: -38, not 7100\n")
        self.mentioned(run.err, ("i386:387", "(--nr 387,i386:387 would serve it)"))

    def test_recvmmsg_with_a_pointer_as_descriptor(self):
        run = self.i386(I386, "337")
        self.assertEqual(run.out, "clone2: -9, not 7100\n")  # EBADF
        self.mentioned(run.err, ("i386:337", "(--nr 387,i386:387,i386:337 would serve it)"))

    def test_recvmmsg(self):
        main = I386[:I386.index("    if (argc > 2)")] + "    (void)nr; (void)pid_pointer;\n"
        run = self.i386(main + I386[I386.index("    int ends[2];"):], "337")
        self.assertEqual((run.out, run.err), ("ok\n", ""))


if __name__ == "__main__":
    harness.main()
