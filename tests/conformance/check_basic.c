// SPDX-License-Identifier: MIT
// The call itself: struct, result, registers, nr_pids = 0.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void plain(void)
{
    struct call *c = call_new();
    pid_t pid = call_ok(c, 0);
    expect_long("getpid() in the child", pid, c->child_report.pid);
    expect_long("gettid() in the child", pid, c->child_report.tid);
    expect_long("getppid() in the child", getpid(), c->child_report.ppid);
    expect_no_children("after the child was waited for");
}

// A provider that keeps state per call must work for any values, call after call.
static void registers(void)
{
    struct call *c = call_new();
    for (int i = 0; i < 300; i++) {
        pid_t pids[1] = {1000 + i};
        call_set(c, SIGCHLD, i & 1, pids);
        if (!ARCH_IS_FUNCTION(options.by_function)) {
            c->sp += (uint64_t)random_below(64) - 32; // odd stack pointers, too
        }
        c->check = i % 16 ? STACK_NEAR : STACK_ALL;
        call_ok(c, i & 1 ? 1000 + i : 0);
    }
}

static void registers_on_failure(void)
{
    struct call *c = call_new();
    for (int i = 0; i < 300; i++) {
        static const long want[6] = {-EINVAL, -EBUSY, -EINVAL, -EFAULT, -EINVAL, -EFAULT};
        int kind = i % 6;
        CALL_SET(c, SIGCHLD, kind == 1 ? 1 : kind == 0 ? -5 : 1234);
        if (kind == 2) {
            options.abi->spoil(&c->own_args);
        }
        if (kind == 3) {
            c->pids = (void *)16;
        }
        if (kind == 4) {
            c->own_args.flags |= CLONE_THREAD;
        }
        if (kind == 5) {
            c->args = call_bad_args((void *)24);
        }
        c->check = i % 16 ? STACK_NEAR : STACK_ALL;
        call_expect(c, want[kind]);
    }
    expect_no_children("after failed calls");
}

static void layout(void)
{
    // Every field is in its place: a call that uses them all.
    struct call *c = call_new();
    unsigned char *low = low_page(1);
    unsigned char *stack = guarded_pages(1, 0);
    uint32_t at = (uint32_t)(uintptr_t)low;
    pid_t pid = 4321;
    signal(SIGUSR2, SIG_IGN);
    CALL_SET(c, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGUSR2, pid);
    c->own_args.child_stack = (uint64_t)(uintptr_t)stack + 256;
    c->own_args.parent_tid = at;
    c->own_args.child_tid = at + 64;
    call_ok(c, pid);
    expect_long("parent_tid", pid, *(pid_t *)(void *)low);
    expect_long("child_tid", pid, *(pid_t *)(void *)(low + 64));
}

// The addresses are used only with their flags.
static void unused_fields(void)
{
    struct call *c = call_new();
    for (int i = 0; i < 20; i++) {
        call_set(c, SIGCHLD, 0, NULL);
        c->own_args.parent_tid = (uint32_t)random_u64();
        c->own_args.child_tid = (uint32_t)random_u64();
        call_ok(c, 0);
    }
}

static void no_pids(void)
{
    struct call *c = call_new();
    for (size_t i = 0; i < arch_bad_addresses_count; i++) {
        call_set(c, SIGCHLD, 0, NULL);
        c->pids = (void *)arch_bad_addresses[i];
        call_ok(c, 0);
    }
    // Not read at all: even an inaccessible page is no error.
    call_set(c, SIGCHLD, 0, NULL);
    c->pids = guarded_pages(1, 0) - 64;
    call_ok(c, 0);
}

static void without_capabilities(void *arg)
{
    (void)arg;
    struct call *c = call_new();
    keep_capabilities(0);
    for (int i = 0; i < 20; i++) {
        call_ok(c, 0);
    }
}

static void no_pids_no_privilege(void)
{
    in_child(without_capabilities, NULL);
}

// Pids that the kernel picks for nr_pids = 0 follow each other, like those of clone(2).
static void many_in_a_row(void)
{
    struct call *c = call_new();
    pid_t last = 0;
    for (int i = 0; i < repetitions(1000); i++) {
        pid_t pid = call_ok(c, 0);
        EXPECT(pid != last, "two children in a row have pid %d", (int)pid);
        last = pid;
        call_set(c, SIGCHLD, 0, NULL);
    }
}

static int child_checks_memory(struct call *c)
{
    const unsigned char *p = c->user;
    for (size_t i = 0; i < 64 * 4096; i++) {
        if (p[i] != (unsigned char)(i * 7)) {
            return 1;
        }
    }
    return 0;
}

static void private_copy(void)
{
    struct call *c = call_new();
    unsigned char *p =
        mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(p != MAP_FAILED, "mmap failed");
    for (size_t i = 0; i < 64 * 4096; i++) {
        p[i] = (unsigned char)(i * 7);
    }
    CALL_SET(c, SIGCHLD, 0);
    c->child = child_checks_memory;
    c->user = p;
    call_ok(c, 0);
    EXPECT(child_checks_memory(c) == 0, "the caller's memory was changed");
}

static int child_writes(struct call *c)
{
    *(volatile int *)c->user = 7;
    return 0;
}

// A fork-like child has its own memory; one with CLONE_VM has the caller's.
static void copy_or_share(void)
{
    struct call *c = call_new();
    int *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *stack = guarded_pages(2, 0);
    EXPECT(word != MAP_FAILED, "mmap failed");
    for (int shared = 0; shared < 2; shared++) {
        CALL_SET(c, SIGCHLD | (shared ? CLONE_VM : 0), 700 + shared);
        c->own_args.child_stack = (uint64_t)(uintptr_t)stack + 4096;
        c->child = child_writes;
        c->user = word;
        call_ok(c, 700 + shared);
        expect_long(shared ? "memory with CLONE_VM" : "memory after fork", shared ? 7 : 0, *word);
    }
}

// Through the C library's syscall(): errno, and a child that returns from a library function.
static void libc_syscall(void)
{
    struct call *c = call_new();
    for (int i = 0; i < 20; i++) {
        int status;
        pid_t pid = 620 + i;
        CALL_SET(c, SIGCHLD, pid);
        struct arch_syscall s = call_registers(c);
        long got = call_libc(&s);
        if (got == 0) {
            _exit(getpid() == pid ? 5 : 6);
        }
        expect_long("syscall()", pid, got);
        expect_long("waitpid", pid, waitpid(pid, &status, 0));
        expect_long("the child's status", 5 << 8, status);
        CALL_SET(c, SIGCHLD, 1);
        s = call_registers(c);
        errno = 0;
        expect_long("syscall() of a pid in use", -1, call_libc(&s));
        expect_long("errno", EBUSY, errno);
    }
}

const struct check basic_checks[] = {
    {"plain", "nr_pids 0, SIGCHLD: a fork", plain},
    {"registers", "300 calls: every register in parent and child", registers},
    {"registers-on-failure", "300 failing calls: every register of the caller",
     registers_on_failure},
    {"layout", "each field of the struct", layout},
    {"unused-fields", "parent_tid and child_tid are ignored without their flags", unused_fields},
    {"no-pids", "nr_pids 0: pids may be NULL, garbage, unreadable", no_pids},
    {"no-pids-no-privilege", "nr_pids 0 needs no capability", no_pids_no_privilege},
    {"many-in-a-row", "1000 calls", many_in_a_row},
    {"libc-syscall", "calls through the C library", libc_syscall},
    {"private-copy", "the child's memory is the caller's", private_copy},
    {"copy-or-share", "without CLONE_VM a copy, with it shared", copy_or_share},
    {0},
};
