// SPDX-License-Identifier: MIT
// Since Linux 6.14 each pid namespace has its own pid_max.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/utsname.h>

static void own_pid_max_inside(void *arg)
{
    int outer_max = *(int *)arg;
    struct call *c = call_new();
    if (write_file("/proc/sys/kernel/pid_max", "5000") < 0 || pid_max() != 5000) {
        skip("pidns-pid-max: cannot be set");
    }
    CALL_SET(c, SIGCHLD, 4999);
    call_ok(c, 4999);
    CALL_SET(c, SIGCHLD, 5000);
    call_expect(c, -EINVAL);
    CALL_SET(c, SIGCHLD, 6000, 4999);
    call_ok(c, 4999);
    EXPECT_NSPID(c, 6000, 4999);
    CALL_SET(c, SIGCHLD, outer_max, 4999);
    call_expect(c, -EINVAL);
    CALL_SET(c, SIGCHLD, outer_max - 1, 4998);
    call_ok(c, 4998);
    EXPECT_NSPID(c, outer_max - 1, 4998);
    for (int i = 0; i < 20; i++) {
        CALL_SET(c, SIGCHLD, 6000, 0);
        pid_t pid = call_ok(c, 0);
        EXPECT(pid < 5000, "entry 0 gave pid %d in a namespace with pid_max 5000", (int)pid);
        EXPECT_NSPID(c, 6000, pid);
    }
}

static void own_pid_max(void)
{
    struct utsname u;
    int major = 0;
    int minor = 0;
    NEED(uname(&u));
    // Before 6.14, writing would change the whole machine.
    if (sscanf(u.release, "%d.%d", &major, &minor) != 2 || major < 6 ||
        (major == 6 && minor < 14)) {
        skip("pidns-pid-max: Linux 6.14");
    }
    int outer_max = pid_max();
    in_nested(1, own_pid_max_inside, &outer_max);
    expect_long("the outer namespace's pid_max", outer_max, pid_max());
}

// {chosen, 0} when the inner namespace's pids are nearly used up: the search must wrap around, and
// with none left the error is fork's: EAGAIN.
static void wraps_inside(void *arg)
{
    enum { MAX = 320, N = 40 };
    struct call *c[N];
    pid_t pid[N];
    int count = 0;
    (void)arg;
    if (write_file("/proc/sys/kernel/pid_max", "320") < 0 || pid_max() != MAX) {
        skip("pidns-pid-max: cannot be set");
    }
    for (int i = 0; i < 60; i++) {
        struct call *turn = call_new();
        CALL_SET(turn, SIGCHLD, 700, 0);
        pid_t got = call_ok(turn, 0);
        EXPECT(got > 0 && got < MAX, "entry 0 gave pid %d, pid_max is %d", (int)got, MAX);
        EXPECT_NSPID(turn, 700, got);
        call_free(turn);
    }
    for (; count < N; count++) {
        c[count] = call_new();
        CALL_SET(c[count], SIGCHLD, 750 + count, 0);
        c[count]->child = child_waits_for_go;
        long got = call_run(c[count]);
        if (got == -EAGAIN) {
            break; // like fork(): pids below 300 are not reused after the first round
        }
        EXPECT(got > 0, "%s: expected a pid or -EAGAIN, got %s", call_text(c[count]),
               result_text(got));
        pid[count] = (pid_t)got;
    }
    for (int i = 0; i < count; i++) {
        call_go(c[i]);
        call_join(c[i], pid[i]);
        EXPECT_NSPID(c[i], 750 + i, pid[i]);
    }
}

static void wraps(void)
{
    struct utsname u;
    int major = 0;
    int minor = 0;
    NEED(uname(&u));
    if (sscanf(u.release, "%d.%d", &major, &minor) != 2 || major < 6 ||
        (major == 6 && minor < 14)) {
        skip("pidns-pid-max: Linux 6.14");
    }
    in_nested(1, wraps_inside, NULL);
}

const struct check pidmax_checks[] = {
    {"own-pid-max", "each level's own pid_max counts", own_pid_max},
    {"zero-wraps", "{chosen, 0} in a namespace of 320 pids", wraps},
    {0},
};
