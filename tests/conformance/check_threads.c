// SPDX-License-Identifier: MIT
// Threads with chosen ids, and calls from many threads at once.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "inner.h"
#include "nest.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static const uint64_t thread_flags =
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

static void thread_once(struct call *c, pid_t want, int nr)
{
    call_set(c, thread_flags, (unsigned)nr, &want);
    pid_t tid = call_expect(c, nr ? want : 0);
    wait_for_thread(tid);
    call_check_child(c);
    expect_long("gettid() in the thread", tid, c->child_report.tid);
    expect_long("getpid() in the thread", getpid(), c->child_report.pid);
    expect_long("getppid() in the thread", getppid(), c->child_report.ppid);
}

static void thread(void)
{
    struct call *c = call_new();
    for (int i = 0; i < 50; i++) {
        thread_once(c, 900 + i, i % 5 != 0);
    }
    CALL_SET(c, thread_flags, getpid());
    c->child = child_is_bad;
    call_expect(c, -EBUSY);
    CALL_SET(c, CLONE_VM | CLONE_THREAD, 900);
    call_expect(c, -EINVAL);
    CALL_SET(c, CLONE_SIGHAND | CLONE_THREAD, 900);
    call_expect(c, -EINVAL);
}

static void thread_exit_signal(void)
{
    struct call *c = call_new();
    static const int signals[] = {SIGCHLD, SIGKILL, SIGUSR1, 65, 0xff};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        CALL_SET(c, thread_flags | (uint64_t)signals[i], 910);
        call_expect_soon(c, 910);
        wait_for_thread(910);
        call_check_child(c);
    }
    expect_no_children("threads are no children");
}

static void thread_nested_inside(void *arg)
{
    (void)arg;
    struct call *c = call_new();
    static const pid_t lists[][3] = {{710, 711, 712}, {0, 721, 722}, {730, 0, 732}, {740, 741, 0}};
    for (size_t i = 0; i < 4; i++) {
        call_set(c, thread_flags, 3, lists[i]);
        pid_t tid = call_expect(c, lists[i][2]);
        wait_for_thread(tid);
        call_check_child(c);
        expect_nspid(c, 3, lists[i]);
    }
    // CLONE_NEWPID can't create a thread, and neither can anything after unshare(CLONE_NEWPID).
    CALL_SET(c, thread_flags | CLONE_NEWPID, 750);
    call_expect(c, -EINVAL);
    NEED(unshare(CLONE_NEWPID));
    CALL_SET(c, thread_flags, 750);
    call_expect(c, -EINVAL);
}

static void thread_nested(void)
{
    in_nested(2, thread_nested_inside, NULL);
}

enum { THREADS = 8, ROUNDS = 60 };

struct worker {
    int index;
    struct call *call;
    pthread_barrier_t *barrier;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    struct call *c = w->call;
    pthread_barrier_wait(w->barrier);
    for (int i = 0; i < ROUNDS; i++) {
        pid_t want = 3000 + 100 * w->index + i;
        switch (i % 6) {
        case 0:
            call_set(c, SIGCHLD, 0, NULL);
            call_ok(c, 0);
            break;
        case 1:
            thread_once(c, want, 1);
            break;
        case 2:
            CALL_SET(c, SIGCHLD | CLONE_VM | CLONE_VFORK, want);
            call_ok(c, want);
            break;
        case 3:
            CALL_SET(c, SIGCHLD, i & 1 ? 1 : -1);
            call_expect(c, i & 1 ? -EBUSY : -EINVAL);
            break;
        default:
            CALL_SET(c, SIGCHLD, want);
            call_ok(c, want);
            break;
        }
    }
    return NULL;
}

static void run_workers(void)
{
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){i, call_new(), &barrier};
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0) {
            broken("pthread_create");
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

// Including the process's first calls: a provider must set itself up only once.
static void threads_at_once(void)
{
    run_workers();
    expect_no_children("at the end");
}

// After exec the provider's set-up is gone, for several threads at the same time.
static void *first_call(void *arg)
{
    struct worker *w = arg;
    CALL_SET(w->call, SIGCHLD, 20000 + w->index);
    pthread_barrier_wait(w->barrier);
    call_ok(w->call, 20000 + w->index);
    return NULL;
}

static void first_calls_inner(void)
{
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){i, call_new(), &barrier};
        if (pthread_create(&threads[i], NULL, first_call, &workers[i]) != 0) {
            broken("pthread_create");
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void threads_first_calls(void)
{
    for (int i = 0; i < repetitions(100); i++) {
        run_inner("threads-first-calls");
    }
}

const struct inner threads_inners[] = {
    {"threads-first-calls", first_calls_inner},
    {0},
};

// All want the same pid: exactly one may get it.
static void *race(void *arg)
{
    struct worker *w = arg;
    struct call *c = w->call;
    for (int i = 0; i < 40; i++) {
        pthread_barrier_wait(w->barrier);
        CALL_SET(c, SIGCHLD, 4000 + i);
        c->child = child_waits_for_go;
        long got = call_run(c);
        EXPECT(got == 4000 + i || got == -EBUSY, "%s: expected %d or -EBUSY, got %s", call_text(c),
               4000 + i, result_text(got));
        c->value[0] = got;
        pthread_barrier_wait(w->barrier);
        if (got > 0) {
            call_go(c);
            call_join(c, (pid_t)got);
        }
        pthread_barrier_wait(w->barrier);
    }
    return NULL;
}

static void *race_counted(void *arg)
{
    struct worker *workers = arg;
    for (int i = 0; i < 40; i++) {
        int winners = 0;
        pthread_barrier_wait(workers->barrier);
        pthread_barrier_wait(workers->barrier);
        for (int j = 0; j < THREADS; j++) {
            winners += workers[j].call->result > 0;
        }
        expect_long("threads that got the pid", 1, winners);
        pthread_barrier_wait(workers->barrier);
    }
    return NULL;
}

static void threads_same_pid(void)
{
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){i, call_new(), &barrier};
    }
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, race, &workers[i]) != 0) {
            broken("pthread_create");
        }
    }
    race_counted(workers);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

// A thread created by clone2 makes calls itself.
static int thread_calls(struct call *c)
{
    struct call *mine = c->user;
    c->value[0] = call_run(mine);
    if (c->value[0] <= 0) {
        return 1;
    }
    int status = -1;
    arch_raw(SYS_wait4, (uint64_t)c->value[0], (uint64_t)(uintptr_t)&status, 0, 0, 0, 0);
    c->value[1] = status;
    return 0;
}

static void thread_of_clone2_calls(void)
{
    need_feature("bare-thread", "a provider by signals, no alternate stack");
    struct call *c = call_new();
    struct call *mine = call_new();
    for (int i = 0; i < 20; i++) {
        CALL_SET(mine, SIGCHLD, 960);
        CALL_SET(c, thread_flags, 950);
        c->child = thread_calls;
        c->user = mine;
        call_expect_soon(c, 950);
        wait_for_thread(950);
        call_check_child(c);
        expect_long("the thread's own clone2", 960, c->value[0]);
        expect_long("its child's status", 0, c->value[1]);
        call_check_child(mine);
        expect_long("getppid() of the thread's child", getpid(), mine->child_report.ppid);
    }
}

const struct check threads_checks[] = {
    {"thread", "threads with chosen ids", thread},
    {"thread-exit-signal", "CLONE_THREAD ignores the exit signal", thread_exit_signal},
    {"thread-nested", "threads with ids in three namespaces", thread_nested},
    {"threads-at-once", "8 threads call at once", threads_at_once},
    {"threads-first-calls", "the first calls of a process from 8 threads", threads_first_calls},
    {"threads-same-pid", "8 threads want the same pid", threads_same_pid},
    {"thread-of-clone2-calls", "a thread created by clone2 calls clone2", thread_of_clone2_calls},
    {0},
};
