// SPDX-License-Identifier: MIT
// Trap mode: what waits with another mask, by the names that programs with 64-bit time use
// (_TIME_BITS=64). See interpose.c.
#define _GNU_SOURCE
#include "next.h"
#include "own.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>

// A struct timespec of either kind.
typedef const void *timeout;

typedef int poll_function(struct pollfd *, nfds_t, timeout, const sigset_t *);
typedef int checked_poll_function(struct pollfd *, nfds_t, timeout, const sigset_t *, size_t);
typedef int select_function(int, fd_set *, fd_set *, fd_set *, timeout, const sigset_t *);
typedef int epoll_function(int, struct epoll_event *, int, timeout, const sigset_t *);

SHIM_EXPORT poll_function __ppoll64;
SHIM_EXPORT checked_poll_function __ppoll64_chk;
SHIM_EXPORT select_function __pselect64;
SHIM_EXPORT epoll_function __epoll_pwait2_time64;

// Defines NAME(): calls the C library's function with the mask that the wait is to have.
#define WAIT(type, name, parameters, arguments)                                                    \
    SHIM_NEXT(type, name)                                                                          \
    int name parameters                                                                            \
    {                                                                                              \
        type *const next = next_##name();                                                          \
        if (!next) {                                                                               \
            errno = ENOSYS;                                                                        \
            return -1;                                                                             \
        }                                                                                          \
        struct shim_own_wait wait;                                                                 \
        mask = shim_own_enter_wait(&wait, mask);                                                   \
        const int result = next arguments;                                                         \
        shim_own_leave_wait(&wait);                                                                \
        return result;                                                                             \
    }

WAIT(poll_function, __ppoll64,
     (struct pollfd * fds, nfds_t count, timeout limit, const sigset_t *mask),
     (fds, count, limit, mask))
WAIT(checked_poll_function, __ppoll64_chk,
     (struct pollfd * fds, nfds_t count, timeout limit, const sigset_t *mask, size_t size),
     (fds, count, limit, mask, size))
WAIT(select_function, __pselect64,
     (int count, fd_set *reads, fd_set *writes, fd_set *others, timeout limit,
      const sigset_t *mask),
     (count, reads, writes, others, limit, mask))
WAIT(epoll_function, __epoll_pwait2_time64,
     (int fd, struct epoll_event *events, int count, timeout limit, const sigset_t *mask),
     (fd, events, count, limit, mask))
