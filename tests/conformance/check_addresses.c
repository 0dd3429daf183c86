// SPDX-License-Identifier: MIT
// parent_tid, child_tid, CLONE_PIDFD, CLONE_SETTLS.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static uint32_t low32(const void *p)
{
    return (uint32_t)(uintptr_t)p;
}

static int child_copies_words(struct call *c)
{
    const int *word = c->user;
    c->value[0] = word[0];
    c->value[1] = word[1];
    return 0;
}

// With private memory, the parent's word is set in the parent and the child's in the child.
static void settid(void)
{
    struct call *c = call_new();
    int *word = (void *)low_page(0);
    for (int vm = 0; vm < 2; vm++) {
        word[0] = word[1] = -7;
        CALL_SET(c, SIGCHLD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID, 450);
        if (vm) {
            c->own_args.flags |= CLONE_VM;
            c->own_args.child_stack = (uint64_t)(uintptr_t)guarded_pages(2, 0) + 4096;
        }
        c->own_args.parent_tid = low32(&word[0]);
        c->own_args.child_tid = low32(&word[1]);
        c->child = child_copies_words;
        c->user = word;
        call_ok(c, 450);
        expect_long("parent_tid in the parent", 450, word[0]);
        expect_long("child_tid in the parent", vm ? 450 : -7, word[1]);
        expect_long("child_tid in the child", 450, c->value[1]);
    }
}

// parent_tid gets the pid in the caller's namespace, child_tid the child's own.
static void settid_nested_inside(void *arg)
{
    (void)arg;
    struct call *c = call_new();
    int *word = (void *)low_page(1);
    CALL_SET(c, SIGCHLD | CLONE_NEWPID | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID, 460, 461);
    c->own_args.parent_tid = low32(&word[0]);
    c->own_args.child_tid = low32(&word[1]);
    call_ok(c, 461);
    expect_long("parent_tid", 461, word[0]);
    expect_long("child_tid", 1, word[1]);
}

static void settid_nested(void)
{
    in_nested(1, settid_nested_inside, NULL);
}

// Like clone(2): an address that can't be written is no error.
static void settid_bad_address(void)
{
    struct call *c = call_new();
    unsigned char *p = low_page(1);
    NEED(page_size());
    static const uint32_t bad[] = {0, 1, 4095, 0xfffffffc, 0xffffffff};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CALL_SET(c, SIGCHLD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, 450);
        c->own_args.parent_tid = bad[i];
        c->own_args.child_tid = bad[i];
        call_ok(c, 450);
    }
    CALL_SET(c, SIGCHLD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID, 450);
    c->own_args.parent_tid = low32(p + 1); // unaligned
    c->own_args.child_tid = low32(p + 101);
    call_ok(c, 450);
    pid_t value;
    memcpy(&value, p + 1, 4);
    expect_long("unaligned parent_tid", 450, value);
    memcpy(&value, p + 101, 4);
    expect_long("unaligned child_tid", 450, value);
}

// The kernel clears the word and wakes its waiters when a child that shares memory ends.
static void cleartid(void)
{
    struct call *c = call_new();
    int *word = (void *)low_page(1);
    unsigned char *stack = guarded_pages(2, 0);
    for (int i = 0; i < 20; i++) {
        pid_t want = 470 + i;
        CALL_SET(c,
                 CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                     CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID,
                 want);
        c->own_args.child_stack = (uint64_t)(uintptr_t)stack + 4096;
        c->own_args.parent_tid = low32(&word[2]);
        c->own_args.child_tid = low32(&word[0]);
        word[0] = want;
        call_expect(c, want);
        expect_long("parent_tid", want, word[2]);
        // The kernel wakes a shared futex.
        while (__atomic_load_n(&word[0], __ATOMIC_SEQ_CST) != 0) {
            arch_raw(SYS_futex, (uint64_t)(uintptr_t)&word[0], FUTEX_WAIT, (uint64_t)want, 0, 0, 0);
        }
        call_check_child(c);
        expect_long("gettid() in the thread", want, c->child_report.tid);
    }
}

static void pidfd(void)
{
    struct call *c = call_new();
    int *word = (void *)low_page(1);
    for (int i = 0; i < 10; i++) {
        siginfo_t info = {0};
        word[0] = -1;
        CALL_SET(c, SIGCHLD | CLONE_PIDFD, 480);
        c->own_args.parent_tid = low32(&word[0]);
        c->child = child_waits_for_go;
        call_expect(c, 480);
        EXPECT(word[0] > 2, "CLONE_PIDFD: expected a descriptor at parent_tid, got %d", word[0]);
        EXPECT(fcntl(word[0], F_GETFD) == FD_CLOEXEC, "the pidfd is not close-on-exec");
        struct pollfd p = {word[0], POLLIN, 0};
        expect_long("poll while the child lives", 0, poll(&p, 1, 0));
        expect_long("pidfd_send_signal 0", 0, syscall(SYS_pidfd_send_signal, word[0], 0, NULL, 0));
        call_go(c);
        expect_long("poll", 1, poll(&p, 1, -1));
        expect_long("waitid(P_PIDFD)", 0, waitid((idtype_t)P_PIDFD, (id_t)word[0], &info, WEXITED));
        expect_long("waitid's pid", 480, info.si_pid);
        call_check_child(c);
        close(word[0]);
    }
}

static void pidfd_errors(void)
{
    struct call *c = call_new();
    int *word = (void *)low_page(1);
    word[0] = -5;
    CALL_SET(c, SIGCHLD | CLONE_PIDFD | CLONE_PARENT_SETTID, 480);
    c->own_args.parent_tid = low32(&word[0]);
    call_expect(c, -EINVAL);
    expect_long("parent_tid after EINVAL", -5, word[0]);
    static const uint32_t bad[] = {0, 16, 0xfffffffc};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int lowest = fcntl(0, F_DUPFD_CLOEXEC, 3);
        if (lowest >= 0) {
            close(lowest);
        }
        call_set(c, SIGCHLD | CLONE_PIDFD, 0, NULL);
        c->own_args.parent_tid = bad[i];
        c->child = child_is_bad;
        long want = call_run_clone(c);
        EXPECT(want < 0, "clone(2) stores a pidfd at address 0x%x", bad[i]);
        call_expect(c, want);
        CALL_SET(c, SIGCHLD | CLONE_PIDFD, 480);
        c->own_args.parent_tid = bad[i];
        call_expect(c, want);
        int now = fcntl(0, F_DUPFD_CLOEXEC, 3);
        if (now >= 0) {
            close(now);
        }
        expect_long("the lowest free descriptor", lowest, now);
    }
    expect_no_children("after errors");
}

// The pidfd and child_tid in one call.
static void pidfd_and_child_tid(void)
{
    struct call *c = call_new();
    int *word = (void *)low_page(1);
    CALL_SET(c, SIGCHLD | CLONE_PIDFD | CLONE_CHILD_SETTID, 481);
    c->own_args.parent_tid = low32(&word[0]);
    c->own_args.child_tid = low32(&word[1]);
    call_ok(c, 481);
    EXPECT(word[0] > 0, "no pidfd");
    expect_long("child_tid", 481, word[1]);
}

static void settls(void)
{
    struct call *c = call_new();
    unsigned char *middle = guarded_pages(4, 1) + 2 * page_size();
    uint64_t tls = arch_tls_argument(middle);
    const unsigned nr = call_nr_beside_tls(CLONE_SETTLS, 1);
    const pid_t want_pid = 490;
    for (int thread = 0; thread < 2; thread++) {
        call_set(c, CLONE_SETTLS | (thread ? CLONE_VM | CLONE_SIGHAND | CLONE_THREAD : SIGCHLD), nr,
                 &want_pid);
        c->tls = tls;
        if (thread) {
            c->own_args.child_stack = (uint64_t)(uintptr_t)guarded_pages(2, 0) + 4096;
        }
        call_finish(c, call_expect(c, nr ? want_pid : 0));
        expect_long("the child's thread pointer", (long)(uintptr_t)middle,
                    (long)arch_stored_thread_pointer(&c->regs, 1));
    }
    // Without the flag the register doesn't matter.
    CALL_SET(c, SIGCHLD, 491);
    c->tls = 0xdeadbeefdeadbeefULL;
    call_ok(c, 491);
    // An invalid thread pointer: clone(2)'s error.
    for (size_t i = 0; i < arch_bad_tls_count; i++) {
        call_set(c, SIGCHLD | CLONE_SETTLS, 0, NULL);
        c->tls = arch_bad_tls[i];
        c->child = child_is_bad;
        long want = call_run_clone(c);
        EXPECT(want < 0, "clone(2) accepts thread pointer 0x%llx", (unsigned long long)c->tls);
        call_expect(c, want);
        call_set(c, SIGCHLD | CLONE_SETTLS, nr, &want_pid);
        c->tls = arch_bad_tls[i];
        call_expect(c, want);
    }
}

const struct check addresses_checks[] = {
    {"settid", "CLONE_PARENT_SETTID, CLONE_CHILD_SETTID", settid},
    {"settid-nested", "both with different pids", settid_nested},
    {"settid-bad-address", "addresses that can't be written are no error", settid_bad_address},
    {"cleartid", "CLONE_CHILD_CLEARTID clears and wakes", cleartid},
    {"pidfd", "CLONE_PIDFD: poll, waitid", pidfd},
    {"pidfd-errors", "CLONE_PIDFD: EINVAL, EFAULT, no descriptor leaks", pidfd_errors},
    {"pidfd-and-child-tid", "CLONE_PIDFD with CLONE_CHILD_SETTID", pidfd_and_child_tid},
    {"settls", "CLONE_SETTLS takes clone(2)'s register", settls},
    {0},
};
