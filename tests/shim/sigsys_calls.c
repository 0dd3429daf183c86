// SPDX-License-Identifier: MIT
// clone2 where SIGSYS would be blocked without libclone2 in trap mode.
#define _GNU_SOURCE
#include "base/arch/native.h"
#include "clone2.h"
#include "expect.h"
#include "sigsys.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" // old programs call sigset() and others

static volatile sig_atomic_t calls;

void call(void)
{
    struct clone_struct args;
    memset(&args, 0, sizeof args);
    args.flags = SIGCHLD;
    const long pid = raw_call(__NR_clone2, &args, NULL);
    if (pid == 0) {
        _exit(5);
    }
    EXPECT(1, pid > 0);
    int status = 0;
    EXPECT(pid, waitpid((pid_t)pid, &status, 0));
    EXPECT(5 << 8, status);
    calls = calls + 1;
}

static void calling_handler(int number)
{
    (void)number;
    call();
}

void call_blocked(void)
{
    sigset_t all;
    sigset_t none;
    sigfillset(&all);
    sigemptyset(&none);
    EXPECT(0, sigprocmask(SIG_BLOCK, &all, NULL));
    call();
    EXPECT(0, sigprocmask(SIG_SETMASK, &none, NULL));
    EXPECT(0, pthread_sigmask(SIG_SETMASK, &all, NULL));
    call();
    EXPECT(0, pthread_sigmask(SIG_UNBLOCK, &all, NULL));
    sighold(SIGSYS);
    call();
    sigrelse(SIGSYS);
    EXPECT(0, sigblock(-1));
    call();
    EXPECT(1 << (SIGSYS - 1), sigsetmask(-1) & (1 << (SIGSYS - 1)));
    call();
    EXPECT(1 << (SIGSYS - 1), sigsetmask(0) & (1 << (SIGSYS - 1)));
    EXPECT(0, sigsetmask(0));
    call();
}

void call_ignored(void)
{
    signal(SIGSYS, SIG_IGN);
    call();
    sigignore(SIGSYS);
    call();
    sigset(SIGSYS, SIG_HOLD);
    call();
}

void call_in_handler(void)
{
    struct sigaction action = {.sa_handler = calling_handler};
    sigfillset(&action.sa_mask);
    EXPECT(0, sigaction(SIGUSR1, &action, NULL));
    raise(SIGUSR1);
    EXPECT(1, calls);
    // In a handler of SIGSYS itself.
    EXPECT(0, sigaction(SIGSYS, &action, NULL));
    send_sigsys();
    EXPECT(2, calls);
    send_sigsys();
    EXPECT(3, calls);
}

// Everything but SIGUSR1 is blocked during the waits, and so in its handler, which calls clone2.
void call_in_waits(void)
{
    sigset_t mask;
    sigset_t usr1;
    const struct timespec forever = {1000000, 0};
    sigfillset(&mask);
    sigdelset(&mask, SIGUSR1);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    signal(SIGUSR1, calling_handler);
    EXPECT(0, sigprocmask(SIG_BLOCK, &usr1, NULL));
    const int fd = epoll_create1(0);
    struct epoll_event event;
    for (int i = 0; i < 5; i++) {
        raise(SIGUSR1);
        EXPECT(i, calls);
        errno = 0;
        if (i == 0) {
            EXPECT(-1, sigsuspend(&mask));
        }
        if (i == 1) {
            EXPECT(-1, ppoll(NULL, 0, &forever, &mask));
        }
        if (i == 2) {
            EXPECT(-1, pselect(0, NULL, NULL, NULL, &forever, &mask));
        }
        if (i == 3) {
            EXPECT(-1, epoll_pwait(fd, &event, 1, -1, &mask));
        }
        if (i == 4) {
            EXPECT(-1, epoll_pwait2(fd, &event, 1, &forever, &mask));
        }
        EXPECT(EINTR, errno);
        EXPECT(i + 1, calls);
        EXPECT(0, is_blocked());
    }
    // A null mask changes nothing.
    EXPECT(0, ppoll(NULL, 0, &(struct timespec){0, 1}, NULL));
}

static void *thread_main(void *blocked)
{
    EXPECT((intptr_t)blocked, is_blocked());
    call();
    return NULL;
}

void call_in_threads(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all;
    sigfillset(&all);
    EXPECT(0, pthread_attr_init(&attributes));
    EXPECT(0, pthread_create(&thread, &attributes, thread_main, NULL));
    EXPECT(0, pthread_join(thread, NULL));
    EXPECT(0, pthread_attr_setsigmask_np(&attributes, &all));
    EXPECT(0, pthread_create(&thread, &attributes, thread_main, (void *)1));
    EXPECT(0, pthread_join(thread, NULL));
    EXPECT(0, sigprocmask(SIG_BLOCK, &all, NULL));
    EXPECT(0, pthread_create(&thread, NULL, thread_main, (void *)1));
    EXPECT(0, pthread_join(thread, NULL));
}

void start_blocked_and_call(void)
{
    const uint64_t all = ~0ULL;
    EXPECT(0, syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8));
    exec_self("started_blocked_and_call");
}
