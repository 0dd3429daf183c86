// SPDX-License-Identifier: MIT
// A program that links libclone2. Runs in its own pid namespace (see test_shim.py), where pids from
// 500 on are free. Uses nothing specific to glibc, because it is also built with musl.
#include "clone2.h"
#include "expect.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define VM 0x100ULL
#define FS 0x200ULL
#define FILES 0x400ULL
#define SIGHAND 0x800ULL
#define VFORK 0x4000ULL
#define THREAD 0x10000ULL
#define SYSVSEM 0x40000ULL
#define SETTLS 0x80000ULL
#define CHILD_SETTID 0x1000000ULL
#define CHILD_CLEARTID 0x200000ULL

static struct clone_struct arguments(uint64_t flags, uint32_t nr_pids)
{
    struct clone_struct args;
    memset(&args, 0xa5, sizeof args);
    args.flags = flags;
    args.child_stack = 0;
    args.nr_pids = nr_pids;
    args.parent_tid = args.child_tid = 0;
    return args;
}

static int status_of(pid_t pid)
{
    int status = 0;
    EXPECT(pid, waitpid(pid, &status, 0));
    return status;
}

static void like_fork(void)
{
    for (pid_t want = 500; want < 520; want++) {
        struct clone_struct args = arguments(SIGCHLD, 1);
        pid_t pids[1] = {want};
        volatile int local = 1;
        const long pid = clone2(&args, pids);
        if (pid == 0) {
            local = 2;
            _exit(getpid() == want && local == 2 ? 7 : 8);
        }
        EXPECT(want, pid);
        EXPECT(7 << 8, status_of(want));
        EXPECT(1, local);
    }
    struct clone_struct args = arguments(SIGCHLD, 0);
    const long pid = clone2(&args, NULL);
    if (pid == 0) {
        _exit(3);
    }
    EXPECT(1, pid > 0);
    EXPECT(3 << 8, status_of((pid_t)pid));
}

// The child runs on the caller's stack, deeper and then higher up. The parent's return must not
// need what it overwrites there. A separate function, as vfork() requires.
static __attribute__((noinline)) void overwrite_below(void)
{
    volatile unsigned char bytes[8192];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = 0xee;
    }
}

static void like_vfork(void)
{
    for (pid_t want = 530; want < 540; want++) {
        struct clone_struct args = arguments(SIGCHLD | VM | VFORK, 1);
        pid_t pids[1] = {want};
        static volatile int shared;
        const long pid = clone2(&args, pids);
        if (pid == 0) {
            overwrite_below();
            shared = want;
            _exit(0);
        }
        EXPECT(want, pid);
        EXPECT(want, shared);
        EXPECT(0, status_of(want));
    }
}

static void fails(int error, struct clone_struct *args, pid_t *pids)
{
    errno = 0;
    const long result = clone2(args, pids);
    if (result == 0) {
        _exit(99);
    }
    EXPECT(-1, result);
    EXPECT(error, errno);
}

static void errors(void)
{
    pid_t pids[1] = {1};
    struct clone_struct args = arguments(SIGCHLD, 1);
    fails(EBUSY, &args, pids);
    pids[0] = -1;
    fails(EINVAL, &args, pids);
    fails(EFAULT, &args, (pid_t *)(uintptr_t)16);
    fails(EFAULT, (struct clone_struct *)(uintptr_t)16, pids);
    fails(EFAULT, NULL, pids);
    args = arguments(SIGCHLD | 1ULL << 40, 0);
    fails(EINVAL, &args, NULL);
    args = arguments(SIGCHLD | THREAD, 0);
    fails(EINVAL, &args, NULL);
    args = arguments(SIGCHLD | SETTLS, 0); // no value for it
    fails(EINVAL, &args, NULL);
    args = arguments(SIGCHLD, 1000);
    fails(EINVAL, &args, pids);
}

static int child_status(void *arg)
{
    return *(int *)arg;
}

static int child_stack_is_aligned(void *arg)
{
    (void)arg;
    // Above it are the caller's frame pointer and the return address.
    const uintptr_t caller = (uintptr_t)__builtin_frame_address(0) + 2 * sizeof(void *);
    return (caller & 15) == 0 ? 21 : 22;
}

static void with_stack(unsigned char *top)
{
    int value = 23;
    struct clone_struct args = arguments(SIGCHLD, 1);
    const struct clone_struct before = args;
    pid_t pids[1] = {550};
    args.child_stack = before.child_stack;
    EXPECT(550, clone2_call(child_status, top, &args, pids, &value));
    EXPECT(23 << 8, status_of(550));
    EXPECT(0, memcmp(&before, &args, sizeof args));
    for (int off = 0; off < 16; off++) {
        EXPECT(550, clone2_call(child_stack_is_aligned, top - off, &args, pids, NULL));
        EXPECT(21 << 8, status_of(550));
    }
    pids[0] = 1;
    errno = 0;
    EXPECT(-1, clone2_call(child_status, top, &args, pids, &value));
    EXPECT(EBUSY, errno);
    errno = 0;
    EXPECT(-1, clone2_call(NULL, top, &args, pids, &value));
    EXPECT(EINVAL, errno);
    errno = 0;
    EXPECT(-1, clone2_call(child_status, NULL, &args, pids, &value));
    EXPECT(EINVAL, errno);
    errno = 0;
    EXPECT(-1, clone2_call(child_status, top, NULL, pids, &value));
    EXPECT(EFAULT, errno);
}

static int *thread_ran;

static int thread_main(void *arg)
{
    __atomic_store_n(thread_ran, (int)(intptr_t)arg, __ATOMIC_SEQ_CST);
    return 0; // ends this thread, not the process
}

// The kernel clears the word when the thread has left its stack.
static void thread(unsigned char *top)
{
    int *low = (int *)mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | 0x40 /* MAP_32BIT */, -1, 0);
    EXPECT(1, low != MAP_FAILED);
    thread_ran = low + 1;
    for (int i = 1; i <= 20; i++) {
        struct clone_struct args = arguments(
            VM | FS | FILES | SIGHAND | THREAD | SYSVSEM | CHILD_SETTID | CHILD_CLEARTID, 1);
        pid_t pids[1] = {600 + i};
        args.child_tid = (uint32_t)(uintptr_t)low;
        __atomic_store_n(low, -1, __ATOMIC_SEQ_CST);
        EXPECT(600 + i, clone2_call(thread_main, top, &args, pids, (void *)(intptr_t)i));
        while (__atomic_load_n(low, __ATOMIC_SEQ_CST) != 0) {
            usleep(100);
        }
        EXPECT(i, *thread_ran);
    }
}

int main(void)
{
    static unsigned char stack[65536] __attribute__((aligned(64)));
    like_fork();
    like_vfork();
    errors();
    with_stack(stack + sizeof stack);
    thread(stack + sizeof stack);
    return 0;
}
