// SPDX-License-Identifier: MIT
// Random structs: only the specified errors, no stray child, no hang.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const int allowed[] = {EFAULT, EINVAL, EPERM, EBUSY, EAGAIN, ENOMEM, ENOSPC, EMFILE};

static int is_allowed(long result)
{
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        if (result == -allowed[i]) {
            return 1;
        }
    }
    return 0;
}

static int child_sets_go(struct call *c)
{
    c->go = 1;
    return 0;
}

// Values of interest: zeros, small numbers, single bits, garbage.
static uint64_t interesting(void)
{
    switch (random_below(6)) {
    case 0:
        return 0;
    case 1:
        return random_below(8);
    case 2:
        return 1ULL << random_below(64);
    case 3:
        return ~0ULL - random_below(4);
    case 4:
        return random_u64() & random_u64() & random_u64();
    default:
        return random_u64();
    }
}

// Removes exit signals that would end the caller; that would not be the provider's fault.
static uint64_t tame(uint64_t flags)
{
    static const uint64_t signals[] = {0, SIGCHLD, SIGURG, SIGWINCH, 65, 0x80, 0xff};
    flags = (flags & ~0xffULL) | signals[random_below(7)];
    // The kernel takes milliseconds to end a new namespace.
    if (random_below(50)) {
        flags &= ~(uint64_t)CLONE_NEWNET;
    }
    if (random_below(8)) {
        flags &= ~(uint64_t)(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID);
    }
    // When the new namespace's pid 1 ends, the kernel sets its SIGCHLD to SIG_IGN. With a shared
    // table of handlers the caller ignores it, too, and can't wait for its children.
    if (flags & CLONE_SIGHAND) {
        flags &= ~(uint64_t)CLONE_NEWPID;
    }
    if (random_below(10)) {
        flags &= 0xffffffffULL;
    }
    return flags;
}

static void fuzz_one(struct call *c, unsigned char *low, unsigned char *stack)
{
    pid_t pids[8];
    for (size_t i = 0; i < 8; i++) {
        pids[i] = random_below(3) ? (pid_t)random_below(3000) : (pid_t)interesting();
    }
    call_set(c, tame(interesting()), 8, pids);
    c->own_args.nr_pids = call_nr_beside_tls(
        c->own_args.flags, random_below(4) ? random_below(3) : (uint32_t)interesting());
    c->own_args.parent_tid = random_below(2) ? (uint32_t)(uintptr_t)low : (uint32_t)interesting();
    c->own_args.child_tid =
        random_below(2) ? (uint32_t)(uintptr_t)low + 64 : (uint32_t)interesting();
    c->own_args.child_stack = random_below(2) ? 0 : (uint64_t)(uintptr_t)stack + 4096;
    if (random_below(20) == 0 && !(c->own_args.flags & CLONE_VM)) {
        c->own_args.child_stack = 8 + (interesting() >> 18);
    }
    c->tls = arch_tls_argument(stack);
    // A random number must not be the address of the program's memory.
    if (c->own_args.flags &
        (CLONE_PARENT_SETTID | CLONE_PIDFD | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)) {
        c->own_args.parent_tid = (uint32_t)(uintptr_t)low;
        c->own_args.child_tid = (uint32_t)(uintptr_t)low + 64;
    }
    c->child = child_sets_go;
    int bad_pids = random_below(16) == 0;
    if (bad_pids) {
        c->pids = (void *)(uintptr_t)interesting();
    }
    long got = call_run(c);
    if (got < 0) {
        EXPECT(is_allowed(got), "%s: error %s is not in the specification", call_text(c),
               result_text(got));
        return;
    }
    while (!__atomic_load_n(&c->go, __ATOMIC_SEQ_CST)) {
        sleep_us(20);
    }
    if (c->own_args.flags & CLONE_PARENT && !(c->own_args.flags & CLONE_THREAD)) {
        call_check_child(c);
        while (kill((pid_t)got, 0) == 0) { // its parent reaps it
            sleep_us(50);
        }
    } else {
        call_finish(c, (pid_t)got);
    }
    if (c->own_args.flags & CLONE_PIDFD) {
        close(*(int *)(void *)low);
    }
}

enum { ROUNDS = 10000, BATCH = 250 };

static void fuzz_batch(void)
{
    struct call *c = call_new();
    unsigned char *low = low_page(1);
    unsigned char *stack = guarded_pages(2, 0);
    for (int i = 0; i < BATCH; i++) {
        fuzz_one(c, low, stack);
    }
    expect_no_children("after a batch");
}

// In batches of one process each, because CLONE_FS and others may change the caller.
static void fuzz(void)
{
    for (int i = 0; i < repetitions(ROUNDS / BATCH); i++) {
        pid_t pid = spawn();
        if (pid == 0) {
            fuzz_batch();
            _exit(0);
        }
        // Siblings created with CLONE_PARENT are ours as well.
        for (;;) {
            int status;
            pid_t dead = waitpid(-1, &status, __WALL);
            if (dead < 0 && errno == ECHILD) {
                break;
            }
            if (report->claimed) {
                _exit(1);
            }
            if (dead == pid) {
                EXPECT(status == 0, "the caller ended with status 0x%x", status);
            }
        }
    }
}

// Structs of random bytes, mostly invalid.
static void fuzz_bytes(void)
{
    struct call *c = call_new();
    for (int i = 0; i < repetitions(3000); i++) {
        const uint64_t flags = random_u64();
        const uint64_t numbers = random_u64();
        call_set(c, flags, 0, NULL);
        c->own_args.child_stack = random_u64();
        c->own_args.nr_pids = (uint32_t)numbers;
        c->own_args.parent_tid = numbers >> 32;
        c->own_args.child_tid = random_u64();
        options.abi->spoil(&c->own_args);
        c->child = child_is_bad;
        call_expect(c, -EINVAL);
        // Without upper flags: otherwise many combinations are refused, or nr_pids is too large.
        c->own_args.stack_size = 0;
        c->own_args.reserved0 = 0;
        c->own_args.flags = tame(flags & 0xffffffff) | CLONE_SIGHAND;
        c->own_args.flags &= ~(uint64_t)CLONE_VM;
        c->own_args.nr_pids |= 64;
        call_expect(c, -EINVAL);
        c->own_args.nr_pids = 0;
        call_expect(c, -EINVAL);
    }
}

const struct check fuzz_checks[] = {
    {"fuzz", "10000 random calls", fuzz},
    {"fuzz-bytes", "structs of random bytes", fuzz_bytes},
    {0},
};
