// SPDX-License-Identifier: MIT
// The kernel's own clone2 through its 32-bit entry: int $0x80 of a 64-bit program, which must not
// lie beyond 4 GiB (linked without PIE, static). Needs a patched kernel and root.
// Ends with "N passed, N failed, N skipped".
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CLONE2 = 387, I386_EXIT = 1, I386_GETPID = 20 };

struct clone_struct {
    uint64_t flags;
    uint64_t child_stack;
    uint32_t nr_pids;
    uint32_t parent_tid;
    uint32_t child_tid;
    uint32_t reserved1;
    uint64_t reserved2;
};

static unsigned passed;
static unsigned failed;
static uint64_t child_stack[1024] __attribute__((aligned(16)));
static volatile pid_t seen_by_child; // a thread-like child stores here
static int stored;

static void expect(const char *what, long wanted, long got)
{
    if (wanted == got) {
        passed++;
    } else {
        failed++;
        printf("FAIL %s: expected %ld, got %ld\n", what, wanted, got);
    }
}

static uint32_t address(const void *pointer)
{
    return (uint32_t)(uintptr_t)pointer;
}

// As the program's own system call, so that fork-like children come back from here.
static inline __attribute__((always_inline)) long call(const void *args, const void *pids)
{
    int result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(CLONE2), "b"(args), "c"(pids), "d"(0), "S"(0), "D"(0)
                     : "memory", "r8", "r9", "r10", "r11");
    return result;
}

static long call_with(uint64_t flags, uint32_t nr_pids, const pid_t *pids)
{
    static struct clone_struct args;
    memset(&args, 0xff, sizeof args); // what is reserved is ignored
    args.flags = flags;
    args.child_stack = 0;
    args.nr_pids = nr_pids;
    args.parent_tid = address(&stored);
    args.child_tid = 0;
    const long pid = call(&args, pids);
    if (pid == 0)
        _exit(getpid() == (nr_pids ? pids[nr_pids - 1] : getpid()) ? 7 : 8);
    return pid;
}

static long status_of(long pid)
{
    int status = 0;
    return waitpid((pid_t)pid, &status, __WALL) == pid && WIFEXITED(status) ? WEXITSTATUS(status)
                                                                            : -1;
}

// The child must not touch this function's frame: it has another stack and the same memory.
static long call_on_stack(const struct clone_struct *args)
{
    int result;
    __asm__ volatile("int $0x80\n\t"
                     "test %%eax, %%eax\n\t"
                     "jnz 1f\n\t"
                     "mov %[getpid], %%eax\n\t"
                     "int $0x80\n\t"
                     "mov %%eax, (%%rsp)\n\t" // faults unless rsp is the stack that was given
                     "mov %%eax, seen_by_child(%%rip)\n\t"
                     "mov %[exit], %%eax\n\t"
                     "mov $9, %%ebx\n\t"
                     "int $0x80\n\t"
                     "1:"
                     : "=a"(result)
                     : "a"(CLONE2), "b"(args), "c"(0), "d"(0), "S"(0),
                       "D"(0), [getpid] "i"(I386_GETPID), [exit] "i"(I386_EXIT)
                     : "memory", "r8", "r9", "r10", "r11", "cc");
    return result;
}

static void chosen(void)
{
    static pid_t pids[2] = {0, 77};
    expect("a chosen pid", 77, call_with(SIGCHLD, 1, &pids[1]));
    expect("it is in use", -EBUSY, call_with(SIGCHLD, 1, &pids[1]));
    expect("the child saw its pid", 7, status_of(77));
    expect("pids of two namespaces", 77, call_with(SIGCHLD, 2, pids));
    expect("and its child", 7, status_of(77));
    const long pid = call_with(SIGCHLD, 0, NULL);
    expect("no pids, plain clone", 7, status_of(pid));
}

static void flags(void)
{
    stored = 0;
    const long pid = call_with(SIGCHLD | CLONE_PARENT_SETTID, 0, NULL);
    expect("parent_tid", pid, stored);
    expect("and its child", 7, status_of(pid));
    expect("an unknown flag", -EINVAL, call_with(1ULL << 40 | SIGCHLD, 0, NULL));
    expect("too many pids", -EINVAL, call_with(SIGCHLD, 99, NULL));
    expect("pids unreadable", -EFAULT, call_with(SIGCHLD, 1, NULL));
    expect("args unreadable", -EFAULT, call(NULL, NULL));
}

static void stack(void)
{
    static struct clone_struct args;
    args.flags = SIGCHLD | CLONE_VM;
    // As wide as the register of clone(2): the upper half is not looked at.
    args.child_stack = address(&child_stack[1000]) | 0x1234ULL << 32;
    seen_by_child = 0;
    const long pid = call_on_stack(&args);
    expect("the child on its own stack", 9, status_of(pid));
    expect("the child in the parent's memory", pid, seen_by_child);
    expect("where it stored its pid", pid, (long)(child_stack[1000] & UINT32_MAX));
}

int main(void)
{
    if ((uintptr_t)&stored > UINT32_MAX || unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) {
        perror("compat-entry: unshare");
        return 99;
    }
    // All pids are free in there, but for 1.
    const pid_t inner = fork();
    if (inner == 0) {
        chosen();
        flags();
        stack();
        printf("%u passed, %u failed, 0 skipped\n", passed, failed);
        fflush(stdout);
        _exit(failed != 0);
    }
    const long status = inner > 0 ? status_of(inner) : -1;
    if (status < 0)
        fprintf(stderr, "compat-entry: the tests died (no int $0x80 on this kernel?)\n");
    return status != 0;
}
