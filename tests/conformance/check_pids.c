// SPDX-License-Identifier: MIT
// The list of pids: alignment, 0 entries in every position, ranges.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void chosen_pid(void)
{
    struct call *c = call_new();
    CALL_SET(c, SIGCHLD, 77);
    call_ok(c, 77);
    EXPECT_NSPID(c, 77);
    // Free again after the wait.
    CALL_SET(c, SIGCHLD, 77);
    call_ok(c, 77);
    expect_long("getppid() in the child", getpid(), c->child_report.ppid);
}

static void single_zero(void)
{
    struct call *c = call_new();
    CALL_SET(c, SIGCHLD, 0);
    pid_t pid = call_ok(c, 0);
    expect_long("getpid() in the child", pid, c->child_report.pid);
}

// Two namespaces below the check's own: pids[0] belongs to the outermost of the nr innermost ones.
static void right_aligned_inside(void *arg)
{
    (void)arg;
    struct call *c = call_new();
    CALL_SET(c, SIGCHLD, 99);
    call_ok(c, 99);
    EXPECT_NSPID(c, 0, 0, 99);
    CALL_SET(c, SIGCHLD, 77, 99);
    call_ok(c, 99);
    EXPECT_NSPID(c, 0, 77, 99);
    CALL_SET(c, SIGCHLD, 55, 77, 99);
    call_ok(c, 99);
    EXPECT_NSPID(c, 55, 77, 99);
}

static void right_aligned(void)
{
    in_nested(2, right_aligned_inside, NULL);
}

// Each combination of chosen and zero entries for three levels (and the shorter lists).
static void zero_positions_inside(void *arg)
{
    int n = *(int *)arg;
    for (int mask = 0; mask < 1 << n; mask++) {
        struct call *c = call_new();
        pid_t pids[3];
        int want[3];
        for (int i = 0; i < n; i++) {
            want[i] = pids[i] = mask & (1 << i) ? 500 + 10 * i + mask : 0;
        }
        call_set(c, SIGCHLD, (unsigned)n, pids);
        pid_t pid = call_ok(c, pids[n - 1]);
        expect_nspid(c, n, want);
        expect_long("getpid() in the child", pid, c->child_report.pid);
        call_free(c);
    }
}

static void zero_positions(void)
{
    for (int n = 1; n <= 3; n++) {
        in_nested(2, zero_positions_inside, &n);
    }
}

// 0 entries that the kernel (or provider) picks next to chosen ones must be free pids, and differ
// for children that live at the same time.
static void zero_many_alive_inside(void *arg)
{
    enum { N = 40 };
    struct call *c[N];
    pid_t pid[N];
    (void)arg;
    for (int i = 0; i < N; i++) {
        c[i] = call_new();
        CALL_SET(c[i], SIGCHLD, 600 + i, 0);
        c[i]->child = child_waits_for_go;
        pid[i] = call_expect(c[i], 0);
        for (int j = 0; j < i; j++) {
            EXPECT(pid[i] != pid[j], "two living children have pid %d", (int)pid[i]);
        }
    }
    for (int i = 0; i < N; i++) {
        call_go(c[i]);
        call_join(c[i], pid[i]);
        EXPECT_NSPID(c[i], 600 + i, pid[i]);
    }
}

static void zero_many_alive(void)
{
    in_nested(1, zero_many_alive_inside, NULL);
}

// As with fork(), a number isn't reused at once, although its last owner is gone.
static void zero_advances_inside(void *arg)
{
    enum { N = 30 };
    pid_t seen[N];
    (void)arg;
    struct call *c = call_new();
    for (int i = 0; i < N; i++) {
        CALL_SET(c, SIGCHLD, 600 + i, 0);
        seen[i] = call_ok(c, 0);
        for (int j = 0; j < i; j++) {
            EXPECT(seen[i] != seen[j], "entry 0 gave pid %d again after %d calls", (int)seen[i],
                   i - j);
        }
    }
}

static void zero_advances(void)
{
    in_nested(1, zero_advances_inside, NULL);
}

// {77, 0} when the next pids are in use: the 0 entry must find a free one.
static void zero_next_taken_inside(void *arg)
{
    enum { N = 30 };
    struct call *taken[N];
    pid_t pid[N];
    (void)arg;
    struct call *c = call_new();
    pid_t last = call_ok(c, 0);
    for (int i = 0; i < N; i++) {
        taken[i] = call_new();
        CALL_SET(taken[i], SIGCHLD, last + 1 + i);
        taken[i]->child = child_waits_for_go;
        pid[i] = call_expect(taken[i], last + 1 + i);
    }
    for (int i = 0; i < 5; i++) {
        CALL_SET(c, SIGCHLD, 900 + i, 0);
        pid_t got = call_ok(c, 0);
        EXPECT(got <= last || got > last + N, "pid %d is taken", (int)got);
        EXPECT_NSPID(c, 900 + i, got);
    }
    for (int i = 0; i < N; i++) {
        call_go(taken[i]);
        call_join(taken[i], pid[i]);
    }
}

static void zero_next_taken(void)
{
    in_nested(1, zero_next_taken_inside, NULL);
}

// nr_pids: up to nesting level + 1, leading zeros count.
static void nr_pids_limit_inside(void *arg)
{
    struct call *c = call_new();
    pid_t zeros[64] = {0};
    int level = *(int *)arg;
    for (int n = 1; n <= level + 1; n++) {
        call_set(c, SIGCHLD, (unsigned)n, zeros);
        long got = call_run(c);
        if (n > levels_owned(level)) {
            expect_long("a list that reaches namespaces of other owners", -EPERM, got);
            continue;
        }
        EXPECT(got > 0, "%s at nesting level %d: expected a pid, got %s", call_text(c), level,
               result_text(got));
        call_join(c, (pid_t)got);
    }
    static const unsigned more[] = {1, 2, 3, 10, 31};
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        call_set(c, SIGCHLD, (unsigned)level + 1 + more[i], zeros);
        call_expect(c, -EINVAL);
        zeros[level + (int)more[i] < 64 ? level + (int)more[i] : 63] = 77;
        call_set(c, SIGCHLD, (unsigned)level + 1 + more[i], zeros);
        call_expect(c, -EINVAL);
        memset(zeros, 0, sizeof zeros);
    }
    static const uint32_t huge[] = {64, 1000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        CALL_SET(c, SIGCHLD, 77);
        c->own_args.nr_pids = huge[i];
        call_expect(c, -EINVAL);
    }
}

static void nr_pids_limit(void)
{
    int level = nesting_level();
    for (int depth = 0; depth < 3; depth++) {
        int here = level + depth;
        in_nested(depth, nr_pids_limit_inside, &here);
    }
}

// A full list includes the pid in the initial namespace.
static void full_list_inside(void *arg)
{
    struct call *c = call_new();
    int level = *(int *)arg;
    pid_t pids[64] = {0};
    pids[level] = 1717;
    call_set(c, SIGCHLD, (unsigned)level + 1, pids);
    if (levels_owned(level) < level + 1) {
        skip("root: the initial pid namespace belongs to others");
    }
    call_ok(c, 1717);
}

static void full_list(void)
{
    int level = nesting_level();
    full_list_inside(&level);
    level++;
    in_nested(1, full_list_inside, &level);
}

static void pid_range(void)
{
    struct call *c = call_new();
    int max = pid_max();
    const pid_t good[] = {max - 1, max - 2, 2000};
    const pid_t bad[] = {max, max + 1, INT_MAX, -1, -2, -max, INT_MIN, INT_MIN + 1};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        CALL_SET(c, SIGCHLD, good[i]);
        call_ok(c, good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CALL_SET(c, SIGCHLD, bad[i]);
        call_expect(c, -EINVAL);
    }
    expect_no_children("after EINVAL");
}

// Small pids that the kernel itself would not reuse (below 300) can be chosen.
static void small_pids(void)
{
    struct call *c = call_new();
    for (pid_t pid = 3; pid < 40; pid++) {
        if (pid == getpid()) {
            continue;
        }
        CALL_SET(c, SIGCHLD, pid);
        long got = call_run(c);
        if (got == -EBUSY && kill(pid, 0) == 0) {
            continue;
        }
        EXPECT(got == pid, "%s: expected %d, got %s", call_text(c), (int)pid, result_text(got));
        call_join(c, pid);
    }
}

static void range_each_level_inside(void *arg)
{
    (void)arg;
    struct call *c = call_new();
    for (int i = 0; i < 3; i++) {
        static const pid_t bad[] = {-1, INT_MIN, INT_MAX};
        for (size_t j = 0; j < sizeof bad / sizeof bad[0]; j++) {
            pid_t pids[3] = {0, 0, 0};
            pids[i] = bad[j];
            call_set(c, SIGCHLD, 3, pids);
            call_expect(c, -EINVAL);
            for (int k = 0; k < 3; k++) {
                pids[k] = k == i ? bad[j] : 800 + k;
            }
            call_set(c, SIGCHLD, 3, pids);
            call_expect(c, -EINVAL);
        }
    }
    expect_no_children("after EINVAL");
}

static void range_each_level(void)
{
    in_nested(2, range_each_level_inside, NULL);
}

const struct check pids_checks[] = {
    {"chosen-pid", "{77}", chosen_pid},
    {"single-zero", "{0}", single_zero},
    {"right-aligned", "the last entry is the active namespace's", right_aligned},
    {"zero-positions", "entry 0 in each position, 1 to 3 entries", zero_positions},
    {"zero-many-alive", "{chosen, 0}: 40 children alive", zero_many_alive},
    {"zero-advances", "{chosen, 0}: the next pid, not the last one again", zero_advances},
    {"zero-next-taken", "{chosen, 0}: the next pids are in use", zero_next_taken},
    {"nr-pids-limit", "nr_pids up to nesting level + 1, more is EINVAL", nr_pids_limit},
    {"full-list", "nr_pids = nesting level + 1", full_list},
    {"pid-range", "EINVAL below 0 and from pid_max", pid_range},
    {"small-pids", "pids below 300 can be chosen", small_pids},
    {"range-each-level", "EINVAL in each position", range_each_level},
    {0},
};
