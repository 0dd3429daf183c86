// SPDX-License-Identifier: MIT
// Storms of signals: handlers with and without SA_RESTART, blocked signals, threads, first calls.
#define _GNU_SOURCE
#include "alarm.h"
#include "call.h"
#include "harness.h"
#include "inner.h"
#include "nest.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static const uint64_t thread_flags =
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

static long signals_seen;

static void count_signal(int number)
{
    (void)number;
    __atomic_add_fetch(&signals_seen, 1, __ATOMIC_RELAXED);
}

static void nothing(int number)
{
    (void)number;
}

// Repeats a call that a handler without SA_RESTART interrupted. Only a provider outside the kernel
// may return EINTR, and then nothing has happened.
static long run_through_eintr(struct call *c, int restart, long *interrupted)
{
    for (;;) {
        long got = call_run(c);
        if (got != -EINTR) {
            return got;
        }
        EXPECT(!restart, "%s: EINTR although the handler has SA_RESTART", call_text(c));
        EXPECT(!options.eintr_never, "%s: EINTR", call_text(c));
        ++*interrupted;
    }
}

static void storm(int restart, int all)
{
    int rounds = repetitions(all);
    struct call *c = call_new();
    long interrupted = 0;
    struct sigaction action = {.sa_handler = count_signal,
                               .sa_flags = SA_ONSTACK | (restart ? SA_RESTART : 0)};
    // 5 kHz
    struct itimerval timer = {{0, 200}, {0, 200}};
    struct itimerval off = {{0, 0}, {0, 0}};
    unsigned char *stack = guarded_pages(17, 0);
    use_alternate_stack();
    NEED(sigaction(SIGALRM, &action, NULL));
    NEED(setitimer(ITIMER_REAL, &timer, NULL));
    for (int i = 0; i < rounds; i++) {
        pid_t want = 2000 + i % 1000;
        int kind = i % 8;
        call_set(c,
                 kind == 1   ? SIGCHLD | CLONE_VM | CLONE_VFORK
                 : kind == 2 ? thread_flags
                             : SIGCHLD,
                 kind != 3, &want);
        if (kind == 2) {
            // A thread has no alternate stack, so the handler needs a real one.
            c->own_args.child_stack = (uint64_t)(uintptr_t)stack + 16 * page_size();
        } else if (kind == 4) {
            c->own_pids[0] = want = 1;
        } else if (kind == 5) {
            c->own_pids[0] = want = -1;
        }
        long got = run_through_eintr(c, restart, &interrupted);
        long right = kind == 3 ? 0 : kind == 4 ? -EBUSY : kind == 5 ? -EINVAL : want;
        EXPECT(right ? got == right : got > 0, "%s under a storm of signals: expected %s, got %s%s",
               call_text(c), right ? result_text(right) : "a pid", result_text(got),
               call_stray_text(c));
        if (got > 0) {
            call_finish(c, (pid_t)got);
        }
    }
    NEED(setitimer(ITIMER_REAL, &off, NULL));
    EXPECT(signals_seen > 0, "no signal arrived");
    note("%ld signals, %ld EINTR in %d calls", signals_seen, interrupted, rounds);
    expect_no_children("after the storm");
}

static void storm_restart(void)
{
    storm(1, 2000);
}

static void storm_no_restart(void)
{
    storm(0, 2000);
}

// Without an alternate stack, handlers use the caller's stack, below the red zone.
static void storm_on_stack(void)
{
    need_bare_instruction();
    struct call *c = call_new();
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
    struct itimerval timer = {{0, 200}, {0, 200}};
    struct itimerval off = {{0, 0}, {0, 0}};
    unsigned char *stack = guarded_pages(16, 0);
    NEED(sigaction(SIGALRM, &action, NULL));
    NEED(setitimer(ITIMER_REAL, &timer, NULL));
    uint64_t sp = (uint64_t)(uintptr_t)stack + 15 * page_size();
    memset(stack + 15 * page_size() - ARCH_RED_ZONE, 0x21, ARCH_RED_ZONE + 64);
    for (int i = 0; i < repetitions(500); i++) {
        CALL_SET(c, SIGCHLD, i % 5 ? 2000 + i : 1);
        c->sp = sp;
        if (i % 5) {
            call_ok(c, 2000 + i);
        } else {
            call_expect(c, -EBUSY);
        }
        for (int j = -ARCH_RED_ZONE; j < 64; j++) {
            EXPECT(stack[15 * (long)page_size() + j] == 0x21, "%s: the stack was changed at sp%+d",
                   call_text(c), j);
        }
    }
    NEED(setitimer(ITIMER_REAL, &off, NULL));
}

// A signal without a handler can't end a call with EINTR.
static void storm_blocked(void)
{
    struct call *c = call_new();
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    handle(nothing, 0);
    NEED(sigprocmask(SIG_BLOCK, &set, NULL));
    start_timer(200, 200);
    for (int i = 0; i < repetitions(300); i++) {
        CALL_SET(c, SIGCHLD, 2000 + i);
        call_ok(c, 2000 + i);
    }
    signal(SIGALRM, SIG_IGN);
    NEED(sigprocmask(SIG_UNBLOCK, &set, NULL));
    for (int i = 0; i < repetitions(300); i++) {
        CALL_SET(c, SIGCHLD, 2000 + i);
        call_ok(c, 2000 + i);
    }
    start_timer(0, 0);
}

static void *calling_thread(void *arg)
{
    pid_t base = *(pid_t *)arg;
    struct call *c = call_new();
    use_alternate_stack();
    for (int i = 0; i < repetitions(200); i++) {
        pid_t want = base + i;
        call_set(c, i % 4 ? SIGCHLD : SIGCHLD | CLONE_VM | CLONE_VFORK, 1, &want);
        if (i % 10 == 9) {
            c->own_pids[0] = 1;
            call_expect(c, -EBUSY);
        } else {
            call_ok(c, want);
        }
    }
    return NULL;
}

static void storm_threads(void)
{
    enum { THREADS = 6 };
    pthread_t threads[THREADS];
    pid_t bases[THREADS];
    handle(nothing, SA_RESTART);
    for (int i = 0; i < THREADS; i++) {
        bases[i] = 2000 + 1000 * i;
        if (pthread_create(&threads[i], NULL, calling_thread, &bases[i]) != 0) {
            broken("pthread_create");
        }
    }
    start_timer(200, 200);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    start_timer(0, 0);
}

// A provider may have to set itself up in the process: signals arrive at that moment, in a newly
// executed program.
static void storm_first_inner(void)
{
    struct call *c = call_new();
    handle(nothing, SA_RESTART);
    start_timer(1 + random_below(60), 60 + random_below(200));
    for (int i = 0; i < 5; i++) {
        CALL_SET(c, SIGCHLD, 2000 + i);
        call_ok(c, 2000 + i);
    }
    start_timer(0, 0);
}

const struct inner storms_inners[] = {
    {"storm-first", storm_first_inner},
    {0},
};

static void storm_first(void)
{
    for (int i = 0; i < 40; i++) {
        run_inner("storm-first");
    }
}

// The same in forked children of a process that has never called.
static void storm_first_fork(void)
{
    for (int i = 0; i < 40; i++) {
        pid_t pid = spawn();
        if (pid == 0) {
            storm_first_inner();
            _exit(0);
        }
        join(pid);
    }
}

const struct check storms_checks[] = {
    {"storm-restart", "5 kHz of signals, SA_RESTART: never EINTR", storm_restart},
    {"storm-no-restart", "5 kHz of signals without SA_RESTART", storm_no_restart},
    {"storm-on-stack", "handlers on the caller's stack", storm_on_stack},
    {"storm-blocked", "5 kHz of blocked or ignored signals: never EINTR", storm_blocked},
    {"storm-threads", "5 kHz of signals, 6 threads", storm_threads},
    {"storm-first-call", "signals at the first call of 40 exec'd programs", storm_first},
    {"storm-first-fork", "signals at the first call of 40 forked processes", storm_first_fork},
    {0},
};
