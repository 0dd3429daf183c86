// SPDX-License-Identifier: MIT
// CLONE_VFORK: the parent continues only when the child has ended or executed a program.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const uint64_t vfork_flags = CLONE_VM | CLONE_VFORK | SIGCHLD;

static uint64_t pointer(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

// Gives the parent every chance to continue too early, then reports that it is done.
static int child_takes_its_time(struct call *c)
{
    struct timespec t = {0, 20000000};
    arch_raw(SYS_nanosleep, pointer(&t), 0, 0, 0, 0, 0);
    __atomic_store_n(&c->value[0], 1, __ATOMIC_SEQ_CST);
    return 0;
}

static void vfork_with(uint64_t flags, uint64_t child_stack, int nr)
{
    struct call *c = call_new();
    pid_t want = 580;
    for (int i = 0; i < 10; i++) {
        call_set(c, flags, (unsigned)nr, &want);
        c->own_args.child_stack = child_stack;
        c->child = child_takes_its_time;
        pid_t pid = call_expect(c, nr ? want : 0);
        expect_long("the child's work when the parent continues", 1, c->value[0]);
        call_join(c, pid);
    }
    call_free(c);
}

static void vfork_same_stack(void)
{
    vfork_with(vfork_flags, 0, 0);
    vfork_with(vfork_flags, 0, 1);
}

static void vfork_own_stack(void)
{
    uint64_t stack = pointer(guarded_pages(2, 0)) + 4096;
    vfork_with(vfork_flags, stack, 0);
    vfork_with(vfork_flags, stack, 1);
}

// CLONE_VFORK with separate memory waits as well.
static void vfork_without_vm(void)
{
    vfork_with(CLONE_VFORK | SIGCHLD, 0, 0);
    vfork_with(CLONE_VFORK | SIGCHLD, 0, 1);
}

static char number_text[64];
static char *const exec_argv[] = {(char *)(uintptr_t) "clone2-conformance",
                                  (char *)(uintptr_t) "-n",
                                  number_text,
                                  (char *)(uintptr_t) "inner",
                                  (char *)(uintptr_t) "nothing",
                                  NULL};

static int child_execs(struct call *c)
{
    static const char empty[] = "";
    char *const *environment = c->user;
    struct timespec t = {0, 5000000};
    arch_raw(SYS_nanosleep, pointer(&t), 0, 0, 0, 0, 0);
    __atomic_store_n(&c->value[0], 1, __ATOMIC_SEQ_CST);
    arch_raw(SYS_execveat, (uint64_t)options.self, pointer(empty), pointer(exec_argv),
             pointer(environment), AT_EMPTY_PATH, 0);
    return 99;
}

static void vfork_exec(void)
{
    struct call *c = call_new();
    memcpy(number_text, "387", 4);
    for (int i = 0; i < 10; i++) {
        CALL_SET(c, vfork_flags, 590 + i);
        c->child = child_execs;
        c->user = environ;
        pid_t pid = call_expect(c, 590 + i);
        expect_long("the child's work when the parent continues", 1, c->value[0]);
        call_join(c, pid);
    }
}

enum { NEST = 40 };

// Each vfork child creates the next: all of them wait at once, in one address space.
static int child_nests(struct call *c)
{
    struct call **next = c->user;
    if (!*next) {
        return 0;
    }
    long got = call_run(*next);
    int status = -1;
    if (got <= 0 || got != (*next)->own_pids[0]) {
        return 90;
    }
    // Not the C library's waitpid: it may be a cancellation point, with a foreign thread's state.
    long reaped = arch_raw(SYS_wait4, (uint64_t)got, pointer(&status), 0, 0, 0, 0);
    return reaped == got && status == 0 ? 0 : 91;
}

static void vfork_nested(void)
{
    struct call *calls[NEST + 1];
    for (int i = 0; i < NEST; i++) {
        calls[i] = call_new();
        CALL_SET(calls[i], i == NEST - 1 ? SIGCHLD : vfork_flags, 2000 + i);
        calls[i]->child = child_nests;
        calls[i]->user = &calls[i + 1];
    }
    calls[NEST] = NULL;
    call_ok(calls[0], 2000);
    for (int i = 0; i < NEST; i++) {
        call_check_child(calls[i]);
        expect_long("getpid() in a nested child", 2000 + i, calls[i]->child_report.pid);
    }
}

// Many vfork parents in different processes at once.
static void vfork_failing_inside(void *arg)
{
    (void)arg;
    struct call *c = call_new();
    for (int i = 0; i < 50; i++) {
        CALL_SET(c, vfork_flags, i & 1 ? 1 : -1);
        c->child = child_is_bad;
        call_expect(c, i & 1 ? -EBUSY : -EINVAL);
    }
    expect_no_children("after failures");
}

static void vfork_failing(void)
{
    in_child(vfork_failing_inside, NULL);
}

static int child_raises(struct call *c)
{
    (void)c;
    long pid = arch_raw(SYS_getpid, 0, 0, 0, 0, 0, 0);
    arch_raw(SYS_kill, (uint64_t)pid, SIGKILL, 0, 0, 0, 0);
    return 0;
}

static void vfork_killed(void)
{
    struct call *c = call_new();
    for (int i = 0; i < 10; i++) {
        CALL_SET(c, vfork_flags, 610);
        c->child = child_raises;
        call_expect(c, 610);
        expect_long("the status of the killed child", SIGKILL, wait_status(610));
        call_check_child(c);
    }
}

const struct check vfork_checks[] = {
    {"vfork-same-stack", "CLONE_VM|CLONE_VFORK on the parent's stack", vfork_same_stack},
    {"vfork-own-stack", "CLONE_VM|CLONE_VFORK on another stack", vfork_own_stack},
    {"vfork-without-vm", "CLONE_VFORK alone", vfork_without_vm},
    {"vfork-exec", "the parent continues when the child has exec'd", vfork_exec},
    {"vfork-killed", "the child is killed", vfork_killed},
    {"vfork-failing", "failing calls with vfork flags", vfork_failing},
    {"vfork-nested", "40 nested vfork children", vfork_nested},
    {0},
};
