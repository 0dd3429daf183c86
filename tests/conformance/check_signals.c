// SPDX-License-Identifier: MIT
// Signals: masks, pending signals, alternate stacks, SIGSTOP and SIGCONT, fatal ones.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const uint64_t thread_flags =
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

static long signals_seen;

static void count_signal(int number)
{
    (void)number;
    __atomic_add_fetch(&signals_seen, 1, __ATOMIC_RELAXED);
}

static void raw_mask(uint64_t *mask)
{
    arch_raw(SYS_rt_sigprocmask, SIG_SETMASK, 0, (uint64_t)(uintptr_t)mask, 8, 0, 0);
}

static int child_reads_mask(struct call *c)
{
    uint64_t mask = 0;
    uint64_t pending = 0;
    raw_mask(&mask);
    arch_raw(SYS_rt_sigpending, (uint64_t)(uintptr_t)&pending, 8, 0, 0, 0, 0);
    uint64_t *seen = c->user;
    seen[0] = mask;
    seen[1] = pending;
    return 0;
}

static void masks(void)
{
    need_feature("blocked-sigsys", "a provider by SIGSYS");
    struct call *c = call_new();
    uint64_t *seen = (void *)low_page(1);
    const uint64_t kinds[] = {SIGCHLD, SIGCHLD | CLONE_VM | CLONE_VFORK, thread_flags};
    for (int i = 0; i < 60; i++) {
        uint64_t mask = i < 3 ? ~0ULL : random_u64();
        uint64_t before = 0;
        uint64_t after = 0;
        arch_raw(SYS_rt_sigprocmask, SIG_SETMASK, (uint64_t)(uintptr_t)&mask, 0, 8, 0, 0);
        raw_mask(&before);
        CALL_SET(c, kinds[i % 3], 650);
        c->child = child_reads_mask;
        c->user = seen;
        call_finish(c, call_expect_soon(c, 650));
        raw_mask(&after);
        EXPECT(before == after, "%s: the caller's signal mask was 0x%llx, is 0x%llx", call_text(c),
               (unsigned long long)before, (unsigned long long)after);
        EXPECT(before == seen[0], "%s: the mask is 0x%llx, the child's 0x%llx", call_text(c),
               (unsigned long long)before, (unsigned long long)seen[0]);
        CALL_SET(c, kinds[i % 3], 1);
        call_expect(c, -EBUSY);
        raw_mask(&after);
        EXPECT(before == after, "%s: failed; the caller's signal mask was 0x%llx, is 0x%llx",
               call_text(c), (unsigned long long)before, (unsigned long long)after);
    }
}

static void pending(void)
{
    struct call *c = call_new();
    uint64_t *seen = (void *)low_page(1);
    struct sigaction action = {.sa_handler = count_signal};
    sigset_t set;
    NEED(sigaction(SIGUSR1, &action, NULL));
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    for (int i = 0; i < 20; i++) {
        NEED(sigprocmask(SIG_BLOCK, &set, NULL));
        signals_seen = 0;
        raise(SIGUSR1);
        CALL_SET(c, SIGCHLD, i & 1 ? 1 : 660);
        c->child = child_reads_mask;
        c->user = seen;
        if (i & 1) {
            call_expect(c, -EBUSY);
        } else {
            call_ok(c, 660);
            EXPECT(seen[1] == 0, "%s: a signal is pending in the child", call_text(c));
        }
        expect_long("signals handled while blocked", 0, signals_seen);
        NEED(sigprocmask(SIG_UNBLOCK, &set, NULL));
        expect_long("signals handled when unblocked", 1, signals_seen);
    }
}

static int child_reads_alternate_stack(struct call *c)
{
    stack_t stack = {0};
    arch_raw(SYS_sigaltstack, 0, (uint64_t)(uintptr_t)&stack, 0, 0, 0, 0);
    c->value[0] = stack.ss_flags;
    c->value[1] = (long)stack.ss_size;
    return 0;
}

static void alternate_stack(void)
{
    struct call *c = call_new();
    use_alternate_stack();
    const uint64_t kinds[] = {SIGCHLD, SIGCHLD | CLONE_VM | CLONE_VFORK, SIGCHLD | CLONE_VM,
                              thread_flags};
    for (int i = 0; i < 4; i++) {
        long want[2];
        call_set(c, kinds[i], 0, NULL);
        c->child = child_reads_alternate_stack;
        call_finish(c, (pid_t)call_run_clone(c));
        memcpy(want, c->value, sizeof want);
        CALL_SET(c, kinds[i], 670);
        c->child = child_reads_alternate_stack;
        call_finish(c, call_expect_soon(c, 670));
        expect_long("ss_flags in the child", want[0], c->value[0]);
        expect_long("ss_size in the child", want[1], c->value[1]);
    }
    stack_t stack = {0};
    NEED(sigaltstack(NULL, &stack));
    expect_long("ss_flags in the caller", 0, stack.ss_flags);
    expect_long("ss_size in the caller", 64 << 10, (long)stack.ss_size);
}

// A helper stops and continues the caller at random moments.
static void stopped_caller(void *arg)
{
    struct call *c = call_new();
    (void)arg;
    for (int i = 0; i < repetitions(400); i++) {
        pid_t want = i % 7 == 6 ? 1 : 2000 + i;
        call_set(c, i % 3 ? SIGCHLD : SIGCHLD | CLONE_VM | CLONE_VFORK, 1, &want);
        if (want == 1) {
            call_expect(c, -EBUSY);
        } else {
            call_ok(c, want);
        }
    }
}

static void stops(void)
{
    pid_t target = spawn();
    if (target == 0) {
        stopped_caller(NULL);
        _exit(0);
    }
    pid_t helper = spawn();
    if (helper == 0) {
        for (;;) {
            sleep_us(random_below(1500));
            kill(target, SIGSTOP);
            sleep_us(random_below(700));
            kill(target, SIGCONT);
        }
    }
    join(target);
    NEED(kill(helper, SIGKILL));
    wait_status(helper);
}

// A fatal signal without a handler ends the caller as usual.
static void fatal_signal(void)
{
    for (int i = 0; i < 50; i++) {
        pid_t base = 2000 + i % 8 * 1000;
        pid_t target = spawn();
        if (target == 0) {
            struct call *c = call_new();
            for (int j = 0;; j++) {
                CALL_SET(c, SIGCHLD, base + j % 1000);
                call_ok(c, base + j % 1000);
            }
        }
        sleep_us(random_below(6000));
        NEED(kill(target, i & 1 ? SIGTERM : SIGUSR2));
        int status = wait_status(target);
        EXPECT(!report->claimed, "see there");
        expect_long("the status of a caller that got a fatal signal", i & 1 ? SIGTERM : SIGUSR2,
                    status);
        // Its last child may still exist.
        for (pid_t pid = base; pid < base + 1000; pid++) {
            while (kill(pid, 0) == 0) {
                sleep_us(500);
            }
        }
    }
}

const struct check signals_checks[] = {
    {"signal-masks", "the signal mask of caller and child", masks},
    {"signals-pending", "pending signals stay with the caller", pending},
    {"alternate-stack", "sigaltstack of caller and child", alternate_stack},
    {"stop-continue", "SIGSTOP and SIGCONT at random moments", stops},
    {"fatal-signal", "a fatal signal in the middle of calls", fatal_signal},
    {0},
};
