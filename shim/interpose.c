// SPDX-License-Identifier: MIT
//
// Trap mode: SIGSYS must reach our handler, unblocked. So this file replaces the C library's
// functions that set its action or a mask. Raw system calls bypass it, and so do the C library's
// internal calls.
//
// Without trap mode, and for anything but SIGSYS, each function passes its arguments to the C
// library's function of the same name.
#define _GNU_SOURCE
#include "next.h"
#include "own.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>

typedef int action_function(int, const struct sigaction *, struct sigaction *);
typedef int mask_function(int, const sigset_t *, sigset_t *);
typedef int old_mask_function(int);
typedef sighandler_t signal_function(int, sighandler_t);
typedef int number_function(int);
typedef int pending_function(sigset_t *);
typedef int suspend_function(const sigset_t *);
typedef int poll_function(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
typedef int checked_poll_function(struct pollfd *, nfds_t, const struct timespec *,
                                  const sigset_t *, size_t);
typedef int select_function(int, fd_set *, fd_set *, fd_set *, const struct timespec *,
                            const sigset_t *);
typedef int epoll_function(int, struct epoll_event *, int, int, const sigset_t *);
typedef int epoll2_function(int, struct epoll_event *, int, const struct timespec *,
                            const sigset_t *);

// Actions.

static bool is_ours(int number)
{
    return number == SIGSYS && shim_own_started();
}

SHIM_NEXT(action_function, sigaction)

SHIM_EXPORT int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
    if (is_ours(number)) {
        shim_own_action(action, old);
        return 0;
    }
    if (!action || !shim_own_started()) {
        return next_sigaction()(number, action, old);
    }
    // A handler may call clone2.
    struct sigaction changed = *action;
    sigdelset(&changed.sa_mask, SIGSYS);
    return next_sigaction()(number, &changed, old);
}

static sighandler_t set_handler(sighandler_t handler, int flags)
{
    if (handler == SIG_ERR) {
        errno = EINVAL;
        return SIG_ERR;
    }
    const struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    struct sigaction old;
    shim_own_action(&action, &old);
    return old.sa_handler;
}

// The C library has several names for each; a program's headers choose one.
#define SIGNAL(name, flags)                                                                        \
    SHIM_NEXT(signal_function, name)                                                               \
    SHIM_EXPORT sighandler_t name(int number, sighandler_t handler);                               \
    SHIM_EXPORT sighandler_t name(int number, sighandler_t handler)                                \
    {                                                                                              \
        return is_ours(number) ? set_handler(handler, flags) : next_##name()(number, handler);     \
    }

SIGNAL(signal, SA_RESTART)
SIGNAL(bsd_signal, SA_RESTART)
SIGNAL(ssignal, SA_RESTART)
SIGNAL(sysv_signal, (int)SA_RESETHAND | SA_NODEFER)
SIGNAL(__sysv_signal, (int)SA_RESETHAND | SA_NODEFER)

SHIM_NEXT(signal_function, sigset)

SHIM_EXPORT sighandler_t sigset(int number, sighandler_t handler)
{
    if (!is_ours(number)) {
        return next_sigset()(number, handler);
    }
    struct sigaction old;
    shim_own_action(NULL, &old);
    const sighandler_t before = shim_own_blocked() ? SIG_HOLD : old.sa_handler;
    if (handler != SIG_HOLD && set_handler(handler, 0) == SIG_ERR) {
        return SIG_ERR;
    }
    shim_own_block(handler == SIG_HOLD);
    return before;
}

SHIM_NEXT(number_function, sigignore)

SHIM_EXPORT int sigignore(int number)
{
    if (!is_ours(number)) {
        return next_sigignore()(number);
    }
    set_handler(SIG_IGN, 0);
    return 0;
}

// Masks.

static int change_mask(mask_function *real, int how, const sigset_t *set, sigset_t *old)
{
    if (!shim_own_started()) {
        return real(how, set, old);
    }
    const bool blocked = shim_own_blocked();
    bool member = false;
    sigset_t copy;
    if (set) {
        copy = *set;
        member = sigismember(set, SIGSYS) == 1;
        if (how != SIG_UNBLOCK) {
            sigdelset(&copy, SIGSYS);
        }
    }
    const int result = real(how, set ? &copy : NULL, old);
    if (result != 0) {
        return result;
    }
    if (old && blocked) {
        sigaddset(old, SIGSYS);
    }
    if (set && (how == SIG_SETMASK || member)) {
        shim_own_block(how != SIG_UNBLOCK && member);
    }
    return 0;
}

SHIM_NEXT(mask_function, sigprocmask)

SHIM_EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    return change_mask(next_sigprocmask(), how, set, old);
}

SHIM_NEXT(mask_function, pthread_sigmask)

SHIM_EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    return change_mask(next_pthread_sigmask(), how, set, old);
}

SHIM_NEXT(number_function, sighold)

SHIM_EXPORT int sighold(int number)
{
    if (!is_ours(number)) {
        return next_sighold()(number);
    }
    shim_own_block(true);
    return 0;
}

SHIM_NEXT(number_function, sigrelse)

SHIM_EXPORT int sigrelse(int number)
{
    if (!is_ours(number)) {
        return next_sigrelse()(number);
    }
    shim_own_block(false);
    return 0;
}

// 4.2BSD masks: signals 1 to 32 in an int.
static int change_old_mask(old_mask_function *real, int mask, bool keeps)
{
    if (!shim_own_started()) {
        return real(mask);
    }
    const int bit = 1 << (SIGSYS - 1);
    const bool blocked = shim_own_blocked();
    const int before = real(mask & ~bit);
    if (!keeps || (mask & bit)) {
        shim_own_block(mask & bit);
    }
    return blocked ? before | bit : before;
}

SHIM_NEXT(old_mask_function, sigblock)
SHIM_EXPORT int sigblock(int mask)
{
    return change_old_mask(next_sigblock(), mask, true);
}

SHIM_NEXT(old_mask_function, sigsetmask)
SHIM_EXPORT int sigsetmask(int mask)
{
    return change_old_mask(next_sigsetmask(), mask, false);
}

SHIM_NEXT(pending_function, sigpending)

SHIM_EXPORT int sigpending(sigset_t *set)
{
    const int result = next_sigpending()(set);
    if (result == 0 && shim_own_pending()) {
        sigaddset(set, SIGSYS);
    }
    return result;
}

// Waiting with another mask.

SHIM_NEXT(suspend_function, sigsuspend)

SHIM_EXPORT int sigsuspend(const sigset_t *mask)
{
    struct shim_own_wait wait;
    const int result = next_sigsuspend()(shim_own_enter_wait(&wait, mask));
    shim_own_leave_wait(&wait);
    return result;
}

SHIM_NEXT(poll_function, ppoll)

SHIM_EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                      const sigset_t *mask)
{
    struct shim_own_wait wait;
    const int result = next_ppoll()(fds, count, timeout, shim_own_enter_wait(&wait, mask));
    shim_own_leave_wait(&wait);
    return result;
}

// ppoll() with _FORTIFY_SOURCE.
SHIM_NEXT(checked_poll_function, __ppoll_chk)

SHIM_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                            const sigset_t *mask, size_t size);
SHIM_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                            const sigset_t *mask, size_t size)
{
    struct shim_own_wait wait;
    mask = shim_own_enter_wait(&wait, mask);
    const int result = next___ppoll_chk()(fds, count, timeout, mask, size);
    shim_own_leave_wait(&wait);
    return result;
}

SHIM_NEXT(select_function, pselect)

SHIM_EXPORT int pselect(int count, fd_set *reads, fd_set *writes, fd_set *others,
                        const struct timespec *timeout, const sigset_t *mask)
{
    struct shim_own_wait wait;
    mask = shim_own_enter_wait(&wait, mask);
    const int result = next_pselect()(count, reads, writes, others, timeout, mask);
    shim_own_leave_wait(&wait);
    return result;
}

SHIM_NEXT(epoll_function, epoll_pwait)

SHIM_EXPORT int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout,
                            const sigset_t *mask)
{
    struct shim_own_wait wait;
    mask = shim_own_enter_wait(&wait, mask);
    const int result = next_epoll_pwait()(fd, events, count, timeout, mask);
    shim_own_leave_wait(&wait);
    return result;
}

SHIM_NEXT(epoll2_function, epoll_pwait2) // glibc 2.35

SHIM_EXPORT int epoll_pwait2(int fd, struct epoll_event *events, int count,
                             const struct timespec *timeout, const sigset_t *mask)
{
    if (!next_epoll_pwait2()) {
        errno = ENOSYS;
        return -1;
    }
    struct shim_own_wait wait;
    mask = shim_own_enter_wait(&wait, mask);
    const int result = next_epoll_pwait2()(fd, events, count, timeout, mask);
    shim_own_leave_wait(&wait);
    return result;
}
