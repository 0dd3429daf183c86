// SPDX-License-Identifier: MIT
// A program with its own use for SIGSYS: a sandbox made with SECCOMP_RET_TRAP. Everything must be
// the same with libclone2 in trap mode and without; the test runs both. With the argument "clone2"
// it also calls clone2 where SIGSYS would be blocked without the library.
#define _GNU_SOURCE
#include "arch_registers.h"
#include "expect.h"
#include "filter/seccomp_filter.h"
#include "sigsys.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" // old programs call sigset() and others

enum { FORBIDDEN = SYS_getpgrp, ANSWER = 4711, SURVIVED = 3 };

static void forbid(void)
{
    struct sock_filter steps[4];
    struct sock_fprog program = {0, steps};
    filter_load(&program, nr);
    filter_if_equal(&program, FORBIDDEN, 0, 1);
    filter_answer(&program, SECCOMP_RET_TRAP);
    filter_answer(&program, SECCOMP_RET_ALLOW);
    struct filter_options how = {.may_set_no_new_privs = 1};
    EXPECT(0, filter_install(&program, &how));
}

// The handler.

static volatile sig_atomic_t calls;
static volatile sig_atomic_t nested;
static siginfo_t last;
static sigset_t mask_in_handler;
static sigjmp_buf away;
static volatile sig_atomic_t jumps;

static void handler(int number, siginfo_t *info, void *context)
{
    EXPECT(SIGSYS, number);
    calls = calls + 1;
    last = *info;
    pthread_sigmask(SIG_BLOCK, NULL, &mask_in_handler);
    if (info->si_code > 0) {
        arch_set_result(context, ANSWER);
    }
    if (nested) {
        nested = nested - 1;
        syscall(FORBIDDEN);
    }
    if (jumps) {
        siglongjmp(away, 1);
    }
}

static void handle(int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGUSR2);
    EXPECT(0, sigaction(SIGSYS, &action, NULL));
}

static void block(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    EXPECT(0, sigprocmask(how, &set, NULL));
}

int is_blocked(void)
{
    sigset_t now;
    EXPECT(0, sigprocmask(SIG_BLOCK, NULL, &now));
    return sigismember(&now, SIGSYS);
}

void send_sigsys(void)
{
    EXPECT(0, kill(getpid(), SIGSYS));
}

// The effect of a forbidden call.

static void forced_default(void)
{
    forbid();
    syscall(FORBIDDEN);
}

static void forced_ignored(void)
{
    signal(SIGSYS, SIG_IGN);
    forced_default();
}

static void forced_blocked(void)
{
    handle(0);
    block(SIG_BLOCK);
    EXPECT(1, is_blocked());
    forced_default();
}

static void forced_handled(void)
{
    handle(0);
    forbid();
    for (int i = 1; i <= 3; i++) {
        EXPECT(ANSWER, syscall(FORBIDDEN));
        EXPECT(i, calls);
    }
    EXPECT(1, last.si_code);
    EXPECT(FORBIDDEN, last.si_syscall);
    EXPECT(1, sigismember(&mask_in_handler, SIGUSR2));
    EXPECT(0, sigismember(&mask_in_handler, SIGUSR1));
    EXPECT(0, is_blocked());
    sigset_t now;
    EXPECT(0, sigprocmask(SIG_BLOCK, NULL, &now));
    EXPECT(0, sigismember(&now, SIGUSR2));
    // Blocked inside the handler, and only there.
    block(SIG_BLOCK);
    block(SIG_UNBLOCK);
    EXPECT(ANSWER, syscall(FORBIDDEN));
}

static void forced_nested(void)
{
    handle(0);
    nested = 1;
    forced_default();
}

static void forced_nested_allowed(void)
{
    handle(SA_NODEFER);
    nested = 2;
    forbid();
    EXPECT(ANSWER, syscall(FORBIDDEN));
    EXPECT(3, calls);
}

static void forced_jumped_out(void)
{
    handle(0);
    forbid();
    jumps = 1;
    for (volatile int i = 1; i <= 3; i++) {
        if (sigsetjmp(away, 1) == 0) {
            syscall(FORBIDDEN);
        }
        EXPECT(i, calls);
    }
}

static void forced_once(void)
{
    handle((int)SA_RESETHAND);
    forbid();
    EXPECT(ANSWER, syscall(FORBIDDEN));
    EXPECT(1, calls);
    syscall(FORBIDDEN);
}

// The effect of a SIGSYS that was sent.

static void sent_default(void)
{
    send_sigsys();
}

static void sent_ignored(void)
{
    EXPECT(1, signal(SIGSYS, SIG_IGN) == SIG_DFL);
    send_sigsys();
    sigignore(SIGSYS);
    send_sigsys();
    EXPECT(1, signal(SIGSYS, SIG_DFL) == SIG_IGN);
}

static void sent_handled(void)
{
    handle(0);
    send_sigsys();
    EXPECT(1, calls);
    EXPECT(SI_USER, last.si_code);
    EXPECT(getpid(), last.si_pid);
}

static void sent_blocked(void)
{
    sigset_t set;
    handle(0);
    block(SIG_BLOCK);
    send_sigsys();
    EXPECT(0, calls);
    EXPECT(0, sigpending(&set));
    EXPECT(1, sigismember(&set, SIGSYS));
    block(SIG_UNBLOCK);
    EXPECT(1, calls);
    EXPECT(0, sigpending(&set));
    EXPECT(0, sigismember(&set, SIGSYS));
    // A fork child does not inherit it.
    block(SIG_BLOCK);
    send_sigsys();
    const pid_t child = fork();
    if (child == 0) {
        block(SIG_UNBLOCK);
        _exit(calls == 1 ? SURVIVED : 1);
    }
    int status = 0;
    EXPECT(child, waitpid(child, &status, 0));
    EXPECT(SURVIVED << 8, status);
    // It ends the wait that unblocks it.
    sigemptyset(&set);
    EXPECT(-1, sigsuspend(&set));
    EXPECT(EINTR, errno);
    EXPECT(2, calls);
    EXPECT(1, is_blocked());
    send_sigsys();
    EXPECT(-1, ppoll(NULL, 0, NULL, &set));
    EXPECT(3, calls);
}

// The program reads back what it set.

static void plain_handler(int number)
{
    EXPECT(SIGSYS, number);
    calls = calls + 1;
}

static void views(void)
{
    struct sigaction action;
    handle(SA_RESTART);
    EXPECT(0, sigaction(SIGSYS, NULL, &action));
    EXPECT(1, action.sa_sigaction == handler);
    EXPECT(SA_SIGINFO | SA_RESTART, action.sa_flags & (SA_SIGINFO | SA_RESTART));
    EXPECT(1, sigismember(&action.sa_mask, SIGUSR2));
    EXPECT(1, signal(SIGSYS, plain_handler) == (sighandler_t)(void (*)(void))handler);
    errno = 0;
    EXPECT(1, signal(SIGSYS, SIG_ERR) == SIG_ERR);
    EXPECT(EINVAL, errno);
    send_sigsys();
    EXPECT(1, calls);
    EXPECT(1, sigset(SIGSYS, SIG_HOLD) == plain_handler);
    EXPECT(1, is_blocked());
    EXPECT(1, sigset(SIGSYS, SIG_IGN) == SIG_HOLD);
    EXPECT(0, is_blocked());
    EXPECT(1, sigset(SIGSYS, plain_handler) == SIG_IGN);
    EXPECT(0, sighold(SIGSYS));
    EXPECT(1, is_blocked());
    EXPECT(0, sigrelse(SIGSYS));
    EXPECT(0, is_blocked());
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    EXPECT(0, sigprocmask(SIG_SETMASK, &all, &before));
    EXPECT(0, sigismember(&before, SIGSYS));
    EXPECT(0, pthread_sigmask(SIG_SETMASK, &before, &all));
    EXPECT(1, sigismember(&all, SIGSYS));
    EXPECT(0, is_blocked());
    // The same for other signals.
    EXPECT(0, siginterrupt(SIGUSR1, 1));
    EXPECT(1, signal(SIGUSR1, plain_handler) == SIG_DFL);
    EXPECT(0, sigaction(SIGUSR1, NULL, &action));
    EXPECT(0, action.sa_flags & SA_RESTART);
    EXPECT(1, signal(SIGUSR1, SIG_ERR) == SIG_ERR);
    EXPECT(1, signal(SIGKILL, SIG_IGN) == SIG_ERR);
}

// What exec inherits.

static const char *self;

void exec_self(const char *name)
{
    execl(self, self, "case", name, (char *)NULL);
    EXPECT(0, errno);
}

static void start_ignored(void)
{
    struct sigaction action = {.sa_handler = SIG_IGN};
    // A raw call: in trap mode a program's own SIG_IGN is not inherited.
    const struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        uint64_t mask;
    } raw = {action.sa_handler, 0, NULL, 0};
    EXPECT(0, syscall(SYS_rt_sigaction, SIGSYS, &raw, NULL, 8));
    exec_self("started_ignored");
}

static void started_ignored(void)
{
    struct sigaction action;
    EXPECT(0, sigaction(SIGSYS, NULL, &action));
    EXPECT(1, action.sa_handler == SIG_IGN);
    send_sigsys();
    forced_default();
}

static void start_blocked(void)
{
    const uint64_t all = ~0ULL;
    EXPECT(0, syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8));
    exec_self("started_blocked");
}

static void started_blocked(void)
{
    EXPECT(1, is_blocked());
    handle(0);
    send_sigsys();
    EXPECT(0, calls);
    block(SIG_UNBLOCK);
    EXPECT(1, calls);
}

struct test {
    const char *name;
    void (*run)(void);
    int killed; // by SIGSYS, or it returns
    int needs_clone2;
};

#define KILLED(name)                                                                               \
    {                                                                                              \
#name, name, 1, 0                                                                          \
    }
#define RETURNS(name)                                                                              \
    {                                                                                              \
#name, name, 0, 0                                                                          \
    }
#define CALLS(name)                                                                                \
    {                                                                                              \
#name, name, 0, 1                                                                          \
    }

static const struct test tests[] = {
    KILLED(forced_default),
    KILLED(forced_ignored),
    KILLED(forced_blocked),
    RETURNS(forced_handled),
    KILLED(forced_nested),
    RETURNS(forced_nested_allowed),
    RETURNS(forced_jumped_out),
    KILLED(forced_once),
    KILLED(sent_default),
    RETURNS(sent_ignored),
    RETURNS(sent_handled),
    RETURNS(sent_blocked),
    RETURNS(views),
    KILLED(start_ignored),
    RETURNS(start_blocked),
    CALLS(call_blocked),
    CALLS(call_ignored),
    CALLS(call_in_handler),
    CALLS(call_in_waits),
    CALLS(call_in_threads),
    CALLS(start_blocked_and_call),
};

// Run by exec_self().
static int run_case(const char *name)
{
    if (strcmp(name, "started_ignored") == 0) {
        started_ignored();
    } else if (strcmp(name, "started_blocked") == 0) {
        started_blocked();
    } else {
        call();
    }
    return SURVIVED;
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc == 3) {
        return run_case(argv[2]);
    }
    int failures = 0;
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        const struct test *test = &tests[i];
        if (test->needs_clone2 && argc == 1) {
            continue;
        }
        const pid_t child = fork();
        if (child == 0) {
            test->run();
            _exit(SURVIVED);
        }
        int status = 0;
        EXPECT(child, waitpid(child, &status, 0));
        const int dumped = 0x80;
        if ((status & ~dumped) != (test->killed ? SIGSYS : SURVIVED << 8)) {
            fprintf(stderr, "%s: status 0x%x\n", test->name, (unsigned)status);
            failures++;
        }
    }
    return failures > 0;
}
