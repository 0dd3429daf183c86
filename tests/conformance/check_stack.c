// SPDX-License-Identifier: MIT
// child_stack, and the caller's stack pointer: nothing may be written near either.
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

static const uint64_t thread_flags =
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

static const uint64_t kinds[] = {SIGCHLD, SIGCHLD | CLONE_VM, SIGCHLD | CLONE_VM | CLONE_VFORK, 0};

static uint64_t kind(size_t i)
{
    return kinds[i] ? kinds[i] : thread_flags;
}

// Fork-like, shared memory, vfork-like, thread: with the child's stack at the edges of a page.
static void child_stack_edges(void)
{
    need_bare_instruction();
    struct call *c = call_new();
    size_t page = page_size();
    unsigned char *p = guarded_pages(1, 0);
    const size_t offsets[] = {0, 1, 7, 8, 15, 16, 127, 128, page / 2, page - 8, page - 1, page};
    memset(p, 0x66, page);
    for (size_t k = 0; k < 4; k++) {
        for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
            CALL_SET(c, kind(k), 520);
            c->own_args.child_stack = (uint64_t)(uintptr_t)p + offsets[i];
            call_finish(c, call_expect_soon(c, 520));
            for (size_t j = 0; j < page; j++) {
                EXPECT(p[j] == 0x66, "%s: the child's stack was written at sp%+ld", call_text(c),
                       (long)j - (long)offsets[i]);
            }
        }
    }
}

// Not a stack at all: any number works for a child that doesn't use it.
static void child_stack_values(void)
{
    need_bare_instruction();
    struct call *c = call_new();
    static const uint64_t values[] = {8,
                                      4095,
                                      4096,
                                      4097,
                                      0x12345678,
                                      0xfffffff0,
                                      1ULL << 32,
                                      ARCH_USER_END / 2 + 5,
                                      ARCH_USER_END - 4096};
    for (size_t k = 0; k < 4; k++) {
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            CALL_SET(c, kind(k), 530);
            c->own_args.child_stack = values[i];
            call_finish(c, call_expect_soon(c, 530));
        }
    }
}

// On AMD CPUs a non-canonical one ends the program, as plain clone(2) shows.
int machine_takes(uint64_t sp)
{
    struct call *c = call_new();
    int status;
    CALL_SET(c, SIGCHLD, 0);
    c->own_args.child_stack = sp;
    long pid = call_run_clone(c);
    EXPECT(pid > 0, "clone(2) with child_stack 0x%llx: %s", (unsigned long long)sp,
           result_text(pid));
    NEED(waitpid((pid_t)pid, &status, __WALL));
    int takes = status == 0;
    EXPECT(takes || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV),
           "clone(2) with child_stack 0x%llx: the child ended with status 0x%x",
           (unsigned long long)sp, status);
    call_free(c);
    if (!takes) {
        note("left out: this machine takes no stack pointer 0x%llx", (unsigned long long)sp);
    }
    return takes;
}

// child_stack 0: the parent's value, whatever it is.
static void same_stack(void)
{
    need_bare_instruction();
    struct call *c = call_new();
    size_t page = page_size();
    unsigned char *p = guarded_pages(1, 0);
    const uint64_t at = (uint64_t)(uintptr_t)p;
    const uint64_t values[] = {at,       at + 8, at + 1,        at + page, at + page - 16,
                               at - 777, 0x1234, ARCH_USER_END, 0,         0xdeadbeefcafef00dULL};
    memset(p, 0x66, page);
    for (size_t k = 0; k < 4; k++) {
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            if (values[i] != 0 && !machine_takes(values[i])) {
                continue;
            }
            CALL_SET(c, kind(k), 540);
            c->sp = values[i];
            call_finish(c, call_expect_soon(c, 540));
            CALL_SET(c, kind(k), 1);
            c->sp = values[i];
            call_expect(c, -EBUSY);
            for (size_t j = 0; j < page; j++) {
                EXPECT(p[j] == 0x66, "%s, sp 0x%llx: the stack was written", call_text(c),
                       (unsigned long long)values[i]);
            }
        }
    }
}

// 64 KiB below and 8 KiB above the stack pointer, on success and failure, in parent and child.
static void memory_below(void)
{
    need_bare_instruction();
    struct call *c = call_new();
    for (size_t k = 0; k < 4; k++) {
        for (int i = 0; i < 10; i++) {
            CALL_SET(c, kind(k), i & 1 ? 1 : 550);
            c->check = STACK_ALL;
            if (i & 1) {
                call_expect(c, -EBUSY);
            } else {
                call_finish(c, call_expect_soon(c, 550));
            }
        }
    }
}

// A stack that must grow: only its top page exists.
static void growing_stack(void)
{
    need_bare_instruction();
    struct call *c = call_new();
    size_t page = page_size();
    size_t size = 64 * page;
    unsigned char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_STACK, -1, 0);
    EXPECT(p != MAP_FAILED, "mmap failed");
    for (int i = 0; i < 4; i++) {
        unsigned char present[64];
        CALL_SET(c, SIGCHLD, 560);
        c->sp = (uint64_t)(uintptr_t)p + size - 64;
        call_ok(c, 560);
        NEED(mincore(p, size, present));
        for (int j = 0; j < 62; j++) {
            EXPECT(!(present[j] & 1), "the call touched the stack %d pages below sp", 63 - j);
        }
    }
}

// Like clone(2): an address beyond user space.
static void child_stack_kernel(void)
{
    need_bare_instruction();
    struct call *c = call_new();
    static const uint64_t values[] = {ARCH_USER_END, 1ULL << 63, 0xffff800000000000ULL,
                                      0xffffffffffffff00ULL, ~0ULL};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if (!machine_takes(values[i])) {
            continue;
        }
        CALL_SET(c, SIGCHLD, 570);
        c->own_args.child_stack = values[i];
        long want = call_run_clone(c);
        if (want > 0) {
            call_join(c, (pid_t)want);
        }
        CALL_SET(c, SIGCHLD, 570);
        c->own_args.child_stack = values[i];
        long got = call_run(c);
        if (got > 0) {
            call_join(c, (pid_t)got);
        }
        // clone(2) accepts any number; a provider based on clone3 may find it out of range. Nothing
        // else may happen.
        EXPECT(got == 570 || got == want || got == -EINVAL,
               "%s: expected 570, what clone(2) gives (%s), or -EINVAL; got %s", call_text(c),
               result_text(want), result_text(got));
    }
}

struct popping {
    pid_t tid;
    const void *argument;
};

static int popped(void *argument)
{
    struct popping *p = argument;
    p->argument = argument;
    p->tid = (pid_t)arch_raw(SYS_gettid, 0, 0, 0, 0, 0, 0);
    return 0;
}

// As eclone's library does: the stack pointer must be exactly the one that was given.
static void child_pops(void)
{
    need_bare_instruction();
    struct call *c = call_new();
    unsigned char *top = guarded_pages(4, 1) + 3 * page_size();
    volatile struct popping *p = (void *)low_page(1);
    for (size_t k = 0; k < 4; k++) {
        for (unsigned nr = 0; nr < 2; nr++) {
            const pid_t want = 565;
            const uintptr_t words[2] = {(uintptr_t)popped, (uintptr_t)p};
            memcpy(top, words, sizeof words);
            p->tid = 0;
            p->argument = NULL;
            call_set(c, kind(k), nr, &want);
            c->own_args.child_stack = (uintptr_t)top;
            const struct arch_syscall s = call_registers(c);
            const pid_t pid = (pid_t)arch_perform_popping(&s);
            EXPECT(nr ? pid == want : pid > 0, "%s: %s", call_text(c), result_text(pid));
            if (k < 3) {
                expect_long("the child's status", 0, wait_status(pid));
            } else {
                wait_for_thread(pid);
            }
            EXPECT(p->argument == p, "%s: the function got another argument", call_text(c));
            expect_long("gettid() in the function", pid, p->tid);
        }
    }
}

const struct check stack_checks[] = {
    {"child-stack-edges", "child_stack at the edge of a page, odd values", child_stack_edges},
    {"child-stack-values", "child_stack without memory behind it", child_stack_values},
    {"child-stack-kernel", "child_stack beyond user space", child_stack_kernel},
    {"same-stack", "child_stack 0 with any stack pointer of the caller", same_stack},
    {"memory-below", "64 KiB below the stack pointer stay as they are", memory_below},
    {"child-pops", "the child takes function and argument from its stack", child_pops},
    {"growing-stack", "the caller's stack isn't grown", growing_stack},
    {0},
};
