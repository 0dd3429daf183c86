// SPDX-License-Identifier: MIT
// Nested, unshared, entered and new pid namespaces.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct depth {
    int level; // absolute
    int below; // below the check's namespace
};

static void deep_inside(void *arg)
{
    const struct depth *d = arg;
    struct call *c = call_new();
    pid_t pids[64] = {0};
    int want[64] = {0};
    int n = d->below + 1;
    // All levels that the check owns, each with its own pid.
    for (int i = 0; i < n; i++) {
        want[i] = pids[i] = 3000 + 10 * i;
    }
    if (n == LEVELS_MAX) {
        want[0] = pids[0] = 0; // clone3 accepts at most 32
    }
    call_set(c, SIGCHLD, (unsigned)n, pids);
    pid_t pid = call_ok(c, pids[n - 1]);
    expect_nspid(c, n, want);
    expect_long("getpid() in the child", pid, c->child_report.pid);
    // Only the innermost, and with gaps.
    CALL_SET(c, SIGCHLD, 4000);
    call_ok(c, 4000);
    for (int i = 0; i < n; i++) {
        want[i] = pids[i] = i % 3 == 1 || i == 0 ? 0 : 3005 + 10 * i;
    }
    call_set(c, SIGCHLD, (unsigned)n, pids);
    call_ok(c, pids[n - 1]);
    expect_nspid(c, n, want);
    // One entry too many.
    memset(pids, 0, sizeof pids);
    call_set(c, SIGCHLD, (unsigned)d->level + 2, pids);
    call_expect(c, -EINVAL);
}

// The suite's own level counts; the kernel allows 32 levels below the initial namespace.
static void depth_to(int wanted_level)
{
    int level = nesting_level();
    int below = wanted_level - level;
    if (below < 0) {
        skip("nesting: the suite itself runs at level %d", level);
    }
    struct depth d = {wanted_level, below};
    in_nested(below, deep_inside, &d);
}

static void depth_5(void)
{
    depth_to(5);
}
static void depth_16(void)
{
    depth_to(16);
}
static void depth_31(void)
{
    depth_to(31);
}
static void depth_32(void)
{
    depth_to(32);
}

// At the deepest level a list of 33 entries is valid if the oldest is 0: clone3 accepts 32.
static void full_depth_inside(void *arg)
{
    struct call *c = call_new();
    pid_t pids[64] = {0};
    int n = LEVELS_MAX;
    int shown = n - *(int *)arg; // the suite's /proc shows no older namespaces
    pids[n - 1] = 4100;
    call_set(c, SIGCHLD, (unsigned)n, pids);
    call_ok(c, 4100);
    for (int i = 1; i < n - 1; i++) {
        pids[i] = 20000 + i;
    }
    call_set(c, SIGCHLD, (unsigned)n, pids);
    call_ok(c, 4100);
    expect_nspid(c, shown, pids + n - shown);
}

static void full_depth(void)
{
    int level = nesting_level();
    if (levels_owned(level) < level + 1) {
        skip("root: the initial pid namespace belongs to others");
    }
    in_nested(LEVELS_MAX - 1 - level, full_depth_inside, &level);
}

// CLONE_NEWPID at the deepest level fails like clone(2).
static void too_deep_inside(void *arg)
{
    (void)arg;
    struct call *c = call_new();
    CALL_SET(c, CLONE_NEWPID | SIGCHLD, 4200);
    c->child = child_is_bad;
    call_set(c, CLONE_NEWPID | SIGCHLD, 0, NULL);
    long want = call_run_clone(c);
    EXPECT(want < 0, "clone(2) created a namespace at level 33");
    CALL_SET(c, CLONE_NEWPID | SIGCHLD, 4200);
    call_expect(c, want);
    call_set(c, CLONE_NEWPID | SIGCHLD, 0, NULL);
    call_expect(c, want);
}

static void too_deep(void)
{
    in_nested(LEVELS_MAX - 1 - nesting_level(), too_deep_inside, NULL);
}

// CLONE_NEWPID: the list counts from the caller's namespaces; the new one comes on top.
static void newpid_inside(void *arg)
{
    int level = *(int *)arg;
    struct call *c = call_new();
    call_set(c, CLONE_NEWPID | SIGCHLD, 0, NULL);
    pid_t pid = call_ok(c, 0);
    expect_long("getpid() in the child", 1, c->child_report.pid);
    EXPECT_NSPID(c, pid, 1);
    CALL_SET(c, CLONE_NEWPID | SIGCHLD, 0);
    pid = call_ok(c, 0);
    EXPECT_NSPID(c, pid, 1);
    CALL_SET(c, CLONE_NEWPID | SIGCHLD, 77);
    call_ok(c, 77);
    expect_long("getpid() in the child", 1, c->child_report.pid);
    expect_long("getppid() in the child", 0, c->child_report.ppid);
    EXPECT_NSPID(c, 0, 77, 1);
    CALL_SET(c, CLONE_NEWPID | SIGCHLD, 66, 77);
    call_ok(c, 77);
    EXPECT_NSPID(c, 66, 77, 1);
    CALL_SET(c, CLONE_NEWPID | SIGCHLD, 66, 0);
    pid = call_ok(c, 0);
    EXPECT_NSPID(c, 66, pid, 1);
    CALL_SET(c, CLONE_NEWPID | SIGCHLD, 0, 77);
    call_ok(c, 77);
    EXPECT_NSPID(c, 0, 77, 1);
    CALL_SET(c, CLONE_NEWPID | SIGCHLD, 1);
    call_expect(c, -EBUSY);
    pid_t pids[64] = {0};
    call_set(c, CLONE_NEWPID | SIGCHLD, (unsigned)level + 2, pids);
    call_expect(c, -EINVAL);
}

static void newpid(void)
{
    int level = nesting_level() + 1;
    in_nested(1, newpid_inside, &level);
}

static int child_clones_inside(struct call *c)
{
    // Pid 1 of the new namespace creates children there.
    struct call *mine = c->user;
    CALL_SET(mine, SIGCHLD, 88);
    call_ok(mine, 88);
    EXPECT_NSPID(mine, 0, 88);
    CALL_SET(mine, SIGCHLD, 78, 88);
    call_ok(mine, 88);
    EXPECT_NSPID(mine, 78, 88);
    return 0;
}

static void newpid_then_inside(void)
{
    struct call *c = call_new();
    CALL_SET(c, CLONE_NEWPID | SIGCHLD, 77);
    c->user = call_new();
    c->child = child_clones_inside;
    call_ok(c, 77);
}

// After unshare(CLONE_NEWPID) the pids are for the namespaces in which the child will be born.
static void unshared_inside(void *arg)
{
    int level = *(int *)arg;
    struct call *init = call_new();
    struct call *c = call_new();
    NEED(unshare(CLONE_NEWPID));
    pid_t pids[64] = {0};
    call_set(c, SIGCHLD, (unsigned)level + 3, pids);
    call_expect(c, -EINVAL);
    // The first child is the new namespace's pid 1.
    CALL_SET(init, SIGCHLD, 77, 1);
    init->child = child_waits_for_go;
    pid_t pid = call_expect(init, 77);
    CALL_SET(c, SIGCHLD, 99);
    pid_t second = call_ok(c, 0);
    expect_long("getpid() in the child", 99, c->child_report.pid);
    EXPECT_NSPID(c, second, 99);
    CALL_SET(c, SIGCHLD, 78, 99);
    call_ok(c, 78);
    EXPECT_NSPID(c, 78, 99);
    CALL_SET(c, SIGCHLD, 78, 0);
    call_ok(c, 78);
    EXPECT_NSPID(c, 78, 0);
    CALL_SET(c, SIGCHLD, 0, 99);
    call_ok(c, 0);
    EXPECT_NSPID(c, 0, 99);
    CALL_SET(c, SIGCHLD, 79, 1);
    call_expect(c, -EBUSY);
    CALL_SET(c, SIGCHLD, 77, 99);
    call_expect(c, -EBUSY);
    call_go(init);
    call_join(init, pid);
    EXPECT_NSPID(init, 77, 1);
    // Without its pid 1 the namespace accepts no new processes: clone(2) gives ENOMEM.
    call_set(c, SIGCHLD, 0, NULL);
    call_expect(c, -ENOMEM);
}

static void unshared(void)
{
    int level = nesting_level() + 1;
    in_nested(1, unshared_inside, &level);
}

static void unshared_first_zero_inside(void *arg)
{
    struct call *c = call_new();
    unsigned nr = *(unsigned *)arg;
    pid_t pids[2] = {77, 0};
    NEED(unshare(CLONE_NEWPID));
    call_set(c, SIGCHLD, nr, nr == 1 ? pids + 1 : pids);
    pid_t pid = call_ok(c, nr == 2 ? 77 : 0);
    expect_long("getpid() in the child", 1, c->child_report.pid);
    EXPECT_NSPID(c, pid, 1);
}

static void unshared_first_zero(void)
{
    for (unsigned nr = 0; nr <= 2; nr++) {
        in_child(unshared_first_zero_inside, &nr);
    }
}

static int open_pid_namespace(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        skip("proc: no /proc/PID/ns");
    }
    return fd;
}

// After setns() into a descendant's namespace, and back.
static void entered(void)
{
    struct call *init = call_new();
    struct call *c = call_new();
    int own = open_pid_namespace(getpid());
    CALL_SET(init, CLONE_NEWPID | SIGCHLD, 500);
    init->child = child_waits_for_go;
    pid_t pid = call_expect(init, 500);
    int fd = open_pid_namespace(pid);
    NEED(setns(fd, CLONE_NEWPID));
    for (int i = 0; i < 10; i++) {
        CALL_SET(c, SIGCHLD, 600 + i, 40 + i);
        call_ok(c, 600 + i);
        expect_long("getpid() in the child", 40 + i, c->child_report.pid);
        EXPECT_NSPID(c, 600 + i, 40 + i);
        CALL_SET(c, SIGCHLD, 90);
        pid_t outer = call_ok(c, 0);
        EXPECT_NSPID(c, outer, 90);
    }
    NEED(setns(own, CLONE_NEWPID));
    CALL_SET(c, SIGCHLD, 700);
    call_ok(c, 700);
    EXPECT_NSPID(c, 700);
    call_go(init);
    call_join(init, pid);
}

const struct check namespaces_checks[] = {
    {"depth-5", "a pid in every namespace down to level 5", depth_5},
    {"depth-16", "... level 16", depth_16},
    {"depth-31", "... level 31", depth_31},
    {"depth-32", "... level 32, the deepest", depth_32},
    {"depth-32-full-list", "33 entries, the oldest is 0", full_depth},
    {"too-deep", "CLONE_NEWPID below level 32 fails like clone(2)", too_deep},
    {"newpid", "CLONE_NEWPID: pid 1 comes on top", newpid},
    {"newpid-then-inside", "calls made by the new namespace's pid 1", newpid_then_inside},
    {"unshared", "children of unshare(CLONE_NEWPID)", unshared},
    {"unshared-first-zero", "unshare(CLONE_NEWPID), first child with entry 0", unshared_first_zero},
    {"entered", "after setns() of a pid namespace and back", entered},
    {0},
};
