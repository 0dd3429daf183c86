// SPDX-License-Identifier: MIT
// Descendants, exec, daemons, and processes that end in the middle of calls.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "inner.h"
#include "nest.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

// A great-grandchild, by clone2 each time.
static int child_descends(struct call *c)
{
    struct call **next = c->user;
    if (!*next) {
        return 0;
    }
    call_expect(*next, (*next)->own_pids[0]);
    call_join(*next, (*next)->own_pids[0]);
    expect_long("getppid() in the child", getpid(), (*next)->child_report.ppid);
    return 0;
}

static void descendants(void)
{
    enum { DEPTH = 30 };
    struct call *calls[DEPTH + 1];
    for (int i = 0; i < DEPTH; i++) {
        calls[i] = call_new();
        CALL_SET(calls[i], SIGCHLD, 2000 + i);
        calls[i]->child = child_descends;
        calls[i]->user = &calls[i + 1];
    }
    calls[DEPTH] = NULL;
    call_ok(calls[0], 2000);
}

static void forked_children(void *arg)
{
    basic_calls(2000 + 20 * *(int *)arg);
}

// Children of fork(), before and after the parent's first call, all at once.
static void inherited(void)
{
    for (int round = 0; round < 2; round++) {
        pid_t pids[8];
        for (int i = 0; i < 8; i++) {
            pids[i] = spawn();
            if (pids[i] == 0) {
                for (int j = 0; j < 10; j++) {
                    forked_children(&i);
                }
                _exit(0);
            }
        }
        if (round == 0) {
            basic_calls(3000);
        }
        for (int i = 0; i < 8; i++) {
            join(pids[i]);
        }
    }
}

static void life_basic(void)
{
    basic_calls(2000);
}

static void after_exec(void)
{
    run_inner("basic");
    basic_calls(2100);
    run_inner("basic");
    basic_calls(2100);
}

static void chain_of_execs(void)
{
    const char *chain = getenv("CLONE2_CHAIN");
    int left = chain ? atoi(chain) : 10;
    char text[16] = "0";
    if (left == 0) {
        return;
    }
    basic_calls(2000);
    text[0] = (char)('0' + left - 1);
    setenv("CLONE2_CHAIN", text, 1);
    exec_inner("exec-chain");
}

static int child_execs_inner(struct call *c)
{
    (void)c;
    exec_inner("basic-high");
}

static void life_basic_high(void)
{
    basic_calls(2500);
}

// The program that clone2's child execs calls clone2.
static void exec_in_child(void)
{
    struct call *c = call_new();
    for (int i = 0; i < 5; i++) {
        CALL_SET(c, SIGCHLD, 700 + i);
        c->child = child_execs_inner;
        call_ok(c, 700 + i);
    }
}

static void daemonise(void)
{
    int *done = (void *)low_page(1);
    pid_t pid = spawn();
    if (pid == 0) {
        NEED(setsid());
        if (spawn() != 0) {
            _exit(0);
        }
        EXPECT(chdir("/") == 0, "chdir");
        close(0);
        close(1);
        close(2);
        basic_calls(2000);
        if (spawn() == 0) {
            basic_calls(2100);
            __atomic_store_n(done, 1, __ATOMIC_SEQ_CST);
            _exit(0);
        }
        _exit(0);
    }
    join(pid);
    while (!__atomic_load_n(done, __ATOMIC_SEQ_CST)) {
        if (__atomic_load_n(&report->claimed, __ATOMIC_SEQ_CST)) {
            _exit(1);
        }
        sleep_us(2000);
    }
}

struct looper {
    struct call *call;
    uint64_t flags;
    pid_t first;
};

// Endless calls; any result but success is wrong.
static void *loop(void *arg)
{
    struct looper *l = arg;
    for (int i = 0;; i++) {
        pid_t want = l->first + i % 100;
        call_set(l->call, l->flags, 1, &want);
        call_ok(l->call, want);
    }
    return NULL;
}

// Numbers of the last round may be freed a moment after their owners have ended.
static pid_t round_base(int round)
{
    return 2000 + round % 8 * 1000;
}

static void start_loopers(int threads, pid_t base)
{
    for (int i = 0; i < threads; i++) {
        pthread_t t;
        struct looper *l = malloc(sizeof *l);
        if (!l) {
            broken("malloc");
        }
        *l = (struct looper){call_new(), i & 1 ? SIGCHLD | CLONE_VM | CLONE_VFORK : SIGCHLD,
                             base + 100 * i};
        if (pthread_create(&t, NULL, loop, l) != 0) {
            broken("pthread_create");
        }
    }
}

static void wait_until_gone(pid_t base)
{
    for (pid_t pid = base; pid < base + 500; pid++) {
        while (kill(pid, 0) == 0) {
            sleep_us(500);
        }
    }
}

// The new image inherits the children created by other threads' calls.
static void life_reaps(void)
{
    int status;
    while (waitpid(-1, &status, __WALL) > 0) {
        EXPECT(status == 0, "a child of the old image ended with status 0x%x", status);
    }
    basic_calls(20000);
    _exit(23);
}

static void exec_in_mid_call(void)
{
    for (int i = 0; i < repetitions(60); i++) {
        pid_t pid = spawn();
        if (pid == 0) {
            start_loopers(1 + i % 3, round_base(i));
            sleep_us(random_below(4000));
            exec_inner("reaps");
        }
        int status = wait_status(pid);
        if (report->claimed) {
            _exit(1);
        }
        EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 23,
               "exec by another thread in the middle of calls: status 0x%x", status);
        wait_until_gone(round_base(i));
    }
}

static void exit_in_mid_call(void)
{
    for (int i = 0; i < repetitions(80); i++) {
        pid_t pid = spawn();
        if (pid == 0) {
            start_loopers(1 + i % 4, round_base(i));
            sleep_us(random_below(4000));
            _exit(24);
        }
        int status = wait_status(pid);
        if (report->claimed) {
            _exit(1);
        }
        EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 24,
               "exit by another thread in the middle of calls: status 0x%x", status);
        wait_until_gone(round_base(i));
    }
}

static __attribute__((noreturn)) void call_for_ever(int i)
{
    if (i % 3) {
        start_loopers(i % 3, round_base(i));
    }
    struct looper l = {call_new(), i % 5 ? SIGCHLD : SIGCHLD | CLONE_VM | CLONE_VFORK,
                       round_base(i) + 400};
    loop(&l);
    _exit(1);
}

static void kill_a_caller(void *arg)
{
    int i = *(int *)arg;
    // Half of them are pid 1 of their own namespace, which must end with them.
    if (i & 1) {
        NEED(unshare(CLONE_NEWPID));
    }
    pid_t pid = spawn();
    if (pid == 0) {
        call_for_ever(i);
    }
    sleep_us(random_below(6000));
    NEED(kill(pid, SIGKILL));
    int status = wait_status(pid);
    if (report->claimed) {
        _exit(1);
    }
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
           "killed in the middle of calls: status 0x%x", status);
}

static void killed_in_mid_call(void)
{
    for (int i = 0; i < repetitions(300); i++) {
        in_child(kill_a_caller, &i);
        wait_until_gone(round_base(i));
    }
}

const struct inner life_inners[] = {
    {"basic", life_basic},
    {"basic-high", life_basic_high},
    {"exec-chain", chain_of_execs},
    {"reaps", life_reaps},
    {0},
};

static void exec_chain(void)
{
    run_inner("exec-chain");
}

const struct check life_checks[] = {
    {"descendants", "child of child ... 30 generations", descendants},
    {"inherited", "8 forked children call at once, before and after the parent", inherited},
    {"after-exec", "calls after exec", after_exec},
    {"exec-chain", "calls in each of ten exec'd images", exec_chain},
    {"exec-in-child", "the child execs a program that calls", exec_in_child},
    {"daemonise", "calls of a daemon, its parents gone", daemonise},
    {"exec-in-mid-call", "exec by another thread in the middle of calls", exec_in_mid_call},
    {"exit-in-mid-call", "exit by another thread in the middle of calls", exit_in_mid_call},
    {"killed-in-mid-call", "300 SIGKILLs in the middle of calls", killed_in_mid_call},
    {0},
};
