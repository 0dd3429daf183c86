// SPDX-License-Identifier: MIT
// Without pids the call is plain clone(2). These checks run by name only, because they are also run
// with clone3 refused to the program.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <sched.h>
#include <signal.h>

static const uint64_t thread_flags =
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
static const uint64_t all_settings =
    CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_SETTLS;

static const uint64_t kinds[] = {
    SIGCHLD, 0, CLONE_VM | SIGCHLD, CLONE_VFORK | SIGCHLD, CLONE_VM | CLONE_VFORK | SIGCHLD,
};

static uint64_t kind(size_t i)
{
    return i < sizeof kinds / sizeof kinds[0] ? kinds[i] : thread_flags;
}

enum { KINDS = sizeof kinds / sizeof kinds[0] + 1 };

// Also with pids that may all be any: nothing needs to be chosen.
static void run(struct call *c, uint64_t flags, uint64_t child_stack, uint64_t tls, void *words)
{
    static const pid_t any[1];
    for (unsigned nr = 0; nr <= call_nr_beside_tls(flags, 1); nr++) {
        call_set(c, flags, nr, any);
        c->own_args.child_stack = child_stack;
        c->tls = tls;
        if (words) {
            c->own_args.parent_tid = (uint32_t)(uintptr_t)words;
            c->own_args.child_tid = (uint32_t)(uintptr_t)words + 4;
        }
        call_finish(c, call_expect(c, 0));
    }
}

static void processes_and_threads(void)
{
    struct call *c = call_new();
    const uint64_t stack = (uint64_t)(uintptr_t)guarded_pages(2, 0) + 4096;
    for (size_t i = 0; i < KINDS; i++) {
        run(c, kind(i), 0, 0, NULL);
        run(c, kind(i), stack, 0, NULL);
    }
    call_set(c, SIGCHLD, 0, NULL);
    for (int i = 0; i < repetitions(200); i++) {
        call_ok(c, 0);
    }
}

static void settings(void)
{
    struct call *c = call_new();
    unsigned char *middle = guarded_pages(4, 1) + 2 * page_size();
    const uint64_t tls = arch_tls_argument(middle);
    volatile int *words = (void *)low_page(1);
    for (size_t i = 0; i < KINDS; i++) {
        words[0] = words[1] = -1;
        run(c, kind(i) | all_settings, 0, tls, (void *)(uintptr_t)words);
        expect_long("parent_tid", c->result, words[0]);
        // At its end only a child that shares memory clears it.
        expect_long("child_tid", kind(i) & CLONE_VM ? 0 : c->result, words[1]);
        expect_long("the child's thread pointer", (long)(uintptr_t)middle,
                    (long)arch_stored_thread_pointer(&c->regs, 1));
    }
    words[0] = -1;
    run(c, SIGCHLD | CLONE_PIDFD, 0, 0, (void *)(uintptr_t)words);
    EXPECT(words[0] > 0, "no pidfd");
}

static void stacks(void)
{
    need_bare_instruction();
    struct call *c = call_new();
    static const uint64_t values[] = {1,
                                      8,
                                      4095,
                                      4096,
                                      0x12345678,
                                      0xfffffff0,
                                      1ULL << 32,
                                      ARCH_USER_END - 4096,
                                      ARCH_USER_END - 4095,
                                      ARCH_USER_END - 1,
                                      ARCH_USER_END,
                                      1ULL << 63,
                                      ~0ULL};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if (!machine_takes(values[i])) {
            continue;
        }
        for (size_t k = 0; k < KINDS; k++) {
            run(c, kind(k), values[i], 0, NULL);
        }
    }
}

// If clone(2) refuses a call, so does clone2, with the same errno and no other effect.
static void refused(void)
{
    struct call *c = call_new();
    static const uint64_t bad[] = {
        CLONE_THREAD,           CLONE_VM | CLONE_THREAD,           CLONE_SIGHAND,
        CLONE_FS | CLONE_NEWNS, CLONE_PIDFD | CLONE_PARENT_SETTID,
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        call_set(c, bad[i] | SIGCHLD, 0, NULL);
        c->child = child_is_bad;
        const long want = call_run_clone(c);
        EXPECT(want < 0, "clone(2) takes flags 0x%llx", (unsigned long long)bad[i]);
        call_expect(c, want);
    }
    expect_no_children("after errors");
}

const struct check without_pids_checks[] = {
    {"without-pids", "processes, vfork, threads", processes_and_threads},
    {"without-pids-settings", "tids, a pidfd, the thread pointer", settings},
    {"without-pids-stacks", "child_stack of any value", stacks},
    {"without-pids-errors", "clone(2)'s own errors", refused},
    {0},
};
