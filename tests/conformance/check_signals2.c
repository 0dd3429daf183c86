// SPDX-License-Identifier: MIT
// More storms: blocked signals, many threads, first calls; handlers that call and that jump away.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "inner.h"
#include "nest.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static void start_timer(unsigned first_us, unsigned interval_us)
{
    struct itimerval timer = {{0, (suseconds_t)interval_us}, {0, (suseconds_t)first_us}};
    NEED(setitimer(ITIMER_REAL, &timer, NULL));
}

static void handle(void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags | SA_ONSTACK};
    use_alternate_stack();
    NEED(sigaction(SIGALRM, &action, NULL));
}

static void nothing(int number)
{
    (void)number;
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
        if (pthread_create(&threads[i], NULL, calling_thread, &bases[i]) != 0)
            broken("pthread_create");
    }
    start_timer(200, 200);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
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

const struct inner signals_inners[] = {
    {"storm-first", storm_first_inner},
    {0},
};

static void storm_first(void)
{
    for (int i = 0; i < 40; i++)
        run_inner("storm-first");
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

static struct call *handler_call;
static volatile sig_atomic_t handler_calls;

static void call_in_handler(int number)
{
    int saved = errno;
    (void)number;
    pid_t want = 4000 + handler_calls % 1000;
    handler_calls++;
    call_set(handler_call, SIGCHLD, 1, &want);
    call_ok(handler_call, want);
    errno = saved;
}

static void handler_calls_clone2(void)
{
    need_feature("handler-stack", "a provider by signals");
    struct call *c = call_new();
    handler_call = call_new();
    handle(call_in_handler, SA_RESTART);
    for (int i = 0; i < repetitions(600); i++) {
        // One shot each: if handlers took longer than an interval, nothing else would run.
        start_timer(1 + random_below(2000), 0);
        CALL_SET(c, SIGCHLD, 2000 + i);
        call_ok(c, 2000 + i);
    }
    start_timer(0, 0);
    note("%d calls in handlers", (int)handler_calls);
}

static sigjmp_buf jump;
static volatile sig_atomic_t may_jump;

static void jump_out(int number)
{
    (void)number;
    if (may_jump) {
        may_jump = 0;
        siglongjmp(jump, 1);
    }
}

// A handler that never returns to the call: the call has happened or not, and the provider must not
// run out of any resource.
static void handler_jumps(void)
{
    struct call *volatile c = call_new();
    volatile int jumps = 0;
    handle(jump_out, SA_RESTART);
    for (volatile int i = 0; i < repetitions(1500); i++) {
        if (sigsetjmp(jump, 1) == 0) {
            CALL_SET(c, i % 5 ? SIGCHLD : SIGCHLD | CLONE_VM | CLONE_VFORK, 2000 + i);
            may_jump = 1;
            start_timer(1 + random_below(i & 1 ? 300 : 2000), 0);
            long got = call_run(c);
            may_jump = 0;
            EXPECT(got == 2000 + i, "%s: expected %d, got %s", call_text(c), 2000 + i,
                   result_text(got));
        } else {
            jumps++;
        }
        // The child's existence may be unknown to anyone.
        int status;
        pid_t dead;
        while ((dead = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR)
            EXPECT(dead < 0 || status == 0, "child %d ended with status 0x%x", (int)dead, status);
    }
    start_timer(0, 0);
    note("%d jumps out of 1500 calls", (int)jumps);
    basic_calls(9000);
}

const struct check signals2_checks[] = {
    {"storm-blocked", "5 kHz of blocked or ignored signals: never EINTR", storm_blocked},
    {"storm-threads", "5 kHz of signals, 6 threads", storm_threads},
    {"storm-first-call", "signals at the first call of 40 exec'd programs", storm_first},
    {"storm-first-fork", "signals at the first call of 40 forked processes", storm_first_fork},
    {"handler-calls", "handlers call clone2 themselves", handler_calls_clone2},
    {"handler-jumps", "handlers jump out of calls", handler_jumps},
    {0},
};
