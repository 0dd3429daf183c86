// SPDX-License-Identifier: MIT
// EBUSY: a pid in use by a task, a zombie, a process group or a session.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void expect_busy(struct call *c, pid_t pid)
{
    CALL_SET(c, SIGCHLD, pid);
    c->child = child_is_bad;
    call_expect(c, -EBUSY);
}

static void expect_free(struct call *c, pid_t pid)
{
    CALL_SET(c, SIGCHLD, pid);
    call_ok(c, pid);
}

static void task(void)
{
    struct call *c = call_new();
    struct call *living = call_new();
    expect_busy(c, 1);
    expect_busy(c, getpid());
    CALL_SET(living, SIGCHLD, 400);
    living->child = child_waits_for_go;
    call_expect(living, 400);
    for (int i = 0; i < 10; i++) {
        expect_busy(c, 400);
    }
    call_go(living);
    call_join(living, 400);
    expect_free(c, 400);
}

static void zombie(void)
{
    struct call *c = call_new();
    struct call *dead = call_new();
    siginfo_t info;
    CALL_SET(dead, SIGCHLD, 400);
    call_expect(dead, 400);
    NEED(waitid(P_PID, 400, &info, WEXITED | WNOWAIT));
    expect_busy(c, 400);
    call_join(dead, 400);
    expect_free(c, 400);
}

static void *waiting_thread(void *arg)
{
    struct call *c = arg;
    c->value[0] = syscall(SYS_gettid);
    c->value[1] = 1;
    raw_futex_wait(&c->go, 0);
    return NULL;
}

static void thread(void)
{
    struct call *c = call_new();
    struct call *other = call_new();
    pthread_t t;
    if (pthread_create(&t, NULL, waiting_thread, other) != 0) {
        broken("pthread_create");
    }
    while (!__atomic_load_n(&other->value[1], __ATOMIC_SEQ_CST)) {
        sleep_us(1000);
    }
    expect_busy(c, (pid_t)other->value[0]);
    call_go(other);
    pthread_join(t, NULL);
    CALL_SET(c, SIGCHLD, (pid_t)other->value[0]);
    call_join(c, call_expect_soon(c, (pid_t)other->value[0]));
}

// value[0]: the process whose group to join, or 0 to lead a new one; value[1]: stage.
static int child_joins_group(struct call *c)
{
    if (setpgid(0, (pid_t)c->value[0]) < 0) {
        return 1;
    }
    c->value[1] = 1;
    raw_futex_wait(&c->go, 0);
    return 0;
}

static void wait_for_value(struct call *c, int index)
{
    while (!__atomic_load_n(&c->value[index], __ATOMIC_SEQ_CST)) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid &&
            !__atomic_load_n(&c->value[index], __ATOMIC_SEQ_CST)) {
            broken("a helper child ended early");
        }
        sleep_us(1000);
    }
}

static void process_group(void)
{
    struct call *c = call_new();
    struct call *leader = call_new();
    struct call *member = call_new();
    CALL_SET(leader, SIGCHLD, 400);
    leader->child = child_joins_group;
    call_expect(leader, 400);
    wait_for_value(leader, 1);
    CALL_SET(member, SIGCHLD, 401);
    member->child = child_joins_group;
    member->value[0] = 400;
    call_expect(member, 401);
    wait_for_value(member, 1);
    call_go(leader);
    call_join(leader, 400);
    EXPECT(kill(400, 0) < 0 && errno == ESRCH, "the group's leader still exists");
    EXPECT(kill(-400, 0) == 0, "the group does not exist");
    expect_busy(c, 400);
    call_go(member);
    call_join(member, 401);
    expect_free(c, 400);
}

// The session's leader has a child that leads its own process group, and exits.
static int child_leads_session(struct call *c)
{
    struct call *member = c->user;
    if (setsid() < 0) {
        return 1;
    }
    CALL_SET(member, SIGCHLD, 401);
    member->child = child_joins_group;
    if (call_run(member) != 401) {
        return 1;
    }
    wait_for_value(member, 1);
    return 0;
}

static void session(void)
{
    struct call *c = call_new();
    struct call *leader = call_new();
    struct call *member = call_new();
    CALL_SET(leader, SIGCHLD, 400);
    leader->child = child_leads_session;
    leader->user = member;
    call_expect(leader, 400);
    call_join(leader, 400);
    EXPECT(kill(400, 0) < 0 && errno == ESRCH, "the session's leader still exists");
    EXPECT(getsid(401) == 400, "the session 400 does not exist");
    EXPECT(kill(-400, 0) < 0 && errno == ESRCH, "process group 400 exists");
    expect_busy(c, 400);
    call_go(member);
    // Its new parent, pid 1, reaps it.
    while (kill(401, 0) == 0) {
        sleep_us(1000);
    }
    CALL_SET(c, SIGCHLD, 400);
    call_join(c, call_expect_soon(c, 400));
}

static void each_level_inside(void *arg)
{
    (void)arg;
    struct call *c = call_new();
    struct call *living = call_new();
    CALL_SET(living, SIGCHLD, 400, 401, 402);
    living->child = child_waits_for_go;
    call_expect(living, 402);
    for (int mask = 1; mask < 8; mask++) {
        pid_t pids[3];
        for (int i = 0; i < 3; i++) {
            pids[i] = mask & (1 << i) ? 400 + i : 500 + i;
        }
        call_set(c, SIGCHLD, 3, pids);
        call_expect(c, -EBUSY);
        for (int i = 0; i < 3; i++) {
            pids[i] = mask & (1 << i) ? 400 + i : 0;
        }
        call_set(c, SIGCHLD, 3, pids);
        call_expect(c, -EBUSY);
    }
    // The same number is free in another namespace.
    CALL_SET(c, SIGCHLD, 402, 400, 401);
    call_ok(c, 401);
    call_go(living);
    call_join(living, 402);
    CALL_SET(c, SIGCHLD, 400, 401, 402);
    call_ok(c, 402);
    expect_no_children("at the end");
}

static void each_level(void)
{
    in_nested(2, each_level_inside, NULL);
}

// Innermost first: its error is the one reported.
static void innermost_first_inside(void *arg)
{
    (void)arg;
    struct call *c = call_new();
    struct call *living = call_new();
    static const struct {
        pid_t pids[3];
        int error;
    } cases[] = {
        {{-1, 500, 402}, EBUSY}, {{500, -1, 402}, EBUSY},  {{400, -1, 501}, EINVAL},
        {{-1, 401, 501}, EBUSY}, {{400, 401, -1}, EINVAL}, {{400, 401, 0}, EBUSY},
        {{-1, 401, 0}, EBUSY},   {{400, -1, 0}, EINVAL},   {{-1, 0, 402}, EBUSY},
        {{400, 0, -1}, EINVAL},  {{-1, -1, 402}, EBUSY},   {{400, 401, 402}, EBUSY},
    };
    CALL_SET(living, SIGCHLD, 400, 401, 402);
    living->child = child_waits_for_go;
    call_expect(living, 402);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        call_set(c, SIGCHLD, 3, cases[i].pids);
        call_expect(c, -cases[i].error);
    }
    call_go(living);
    call_join(living, 402);
}

static void innermost_first(void)
{
    in_nested(2, innermost_first_inside, NULL);
}

const struct check busy_checks[] = {
    {"busy-task", "EBUSY: a living process", task},
    {"busy-zombie", "EBUSY: a zombie", zombie},
    {"busy-thread", "EBUSY: a thread id that is not a process's", thread},
    {"busy-process-group", "EBUSY: a process group without its leader", process_group},
    {"busy-session", "EBUSY: a session without its leader", session},
    {"busy-each-level", "EBUSY in each position", each_level},
    {"innermost-first", "which of several wrong pids is reported", innermost_first},
    {0},
};
