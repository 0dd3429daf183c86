// SPDX-License-Identifier: MIT
// Handlers that call, and handlers that jump away from a call.
#define _GNU_SOURCE
#include "alarm.h"
#include "call.h"
#include "harness.h"
#include "inner.h"
#include "nest.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>

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
        while ((dead = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
            EXPECT(dead < 0 || status == 0, "child %d ended with status 0x%x", (int)dead, status);
        }
    }
    start_timer(0, 0);
    note("%d jumps out of 1500 calls", (int)jumps);
    basic_calls(9000);
}

const struct check handlers_checks[] = {
    {"handler-calls", "handlers call clone2 themselves", handler_calls_clone2},
    {"handler-jumps", "handlers jump out of calls", handler_jumps},
    {0},
};
