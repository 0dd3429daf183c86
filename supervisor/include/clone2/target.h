/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The target's side of libclone2supervise: what a process calls between fork() and exec() to have
 * its clone2 calls, and those of all its descendants, served by a supervisor; and how to pass the
 * listener there. Nothing here allocates memory or takes a lock.
 *
 * All functions return >= 0, or a negative errno value.
 */
#ifndef CLONE2_TARGET_H
#define CLONE2_TARGET_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The version of these headers; clone2_supervise_version() is the library's. */
#define CLONE2_SUPERVISE_VERSION_MAJOR 1
#define CLONE2_SUPERVISE_VERSION_MINOR 0
#define CLONE2_SUPERVISE_VERSION_PATCH 0

/** The default number of clone2. Any number that is no system call works as well. */
#define CLONE2_DEFAULT_NR 387

/** How a listener was installed; clone2_install_filter() reports it, add_listener() takes it. */
enum clone2_listener_flags {
    /** With WAIT_KILLABLE_RECV (Linux 5.19): signals don't cancel a call that is being served. */
    CLONE2_LISTENER_WAIT_KILLABLE = 1u << 0,
    /** Without it. If neither flag is set, the first call finds it out. */
    CLONE2_LISTENER_NOT_WAIT_KILLABLE = 1u << 1,
    /** No-new-privs had to be set. Informational; add_listener() ignores it. */
    CLONE2_LISTENER_NO_NEW_PRIVS = 1u << 2
};

/** Restrictions for clone2_install_filter(). */
enum clone2_filter_flags {
    /** Don't use WAIT_KILLABLE_RECV, as before Linux 5.19. For tests. */
    CLONE2_FILTER_NOT_WAIT_KILLABLE = 1u << 0,
    /** Don't set no-new-privs: -EACCES if the caller has no CAP_SYS_ADMIN. */
    CLONE2_FILTER_KEEP_PRIVS = 1u << 1
};

/**
 * Installs the filter on the calling thread: from now on, system call `nr` of this thread and of
 * all its descendants, also after exec, goes to the listener. All other calls go to the kernel as
 * before. The calling thread should be the only one, as after fork().
 *
 * #CLONE2_DEFAULT_NR goes there from 32-bit programs, too; another number only from programs of
 * the caller's own architecture.
 *
 * Sets no-new-privs if the kernel requires it (no CAP_SYS_ADMIN): set-user-ID programs then run
 * without their privilege.
 *
 * @param nr              the number, 0..0x3fffffff, usually #CLONE2_DEFAULT_NR. The caller itself
 *                        must not need it.
 * @param flags           enum clone2_filter_flags
 * @param listener_flags  if not NULL, receives enum clone2_listener_flags, to be passed on with
 *                        the listener
 * @return the listener, close-on-exec, to be passed to the supervisor; or
 *         -EINVAL: `nr` or `flags`, or no seccomp user notification (before Linux 5.0);
 *         -EBUSY: the filter chain already has a listener, and can have only one;
 *         -EACCES: see #CLONE2_FILTER_KEEP_PRIVS.
 *
 * Async-signal-safe and thread-safe. See seccomp(2), seccomp_unotify(2).
 */
int clone2_install_filter(int nr, unsigned flags, unsigned *listener_flags);

/**
 * Sends a descriptor and a number through a connected Unix socket of any type. The sender keeps
 * its descriptor. Raises no SIGPIPE.
 *
 * @return 0, or a negative errno value of sendmsg(2) (-EPIPE: the other end is gone).
 *
 * Async-signal-safe and thread-safe.
 */
int clone2_send_fd(int socket, int fd, uint32_t note);

/**
 * Receives what clone2_send_fd() sent. Waits for it unless the socket is non-blocking.
 *
 * @param note  if not NULL, receives the number
 * @return the descriptor, close-on-exec, owned by the caller; or a negative errno value of
 *         recvmsg(2); -EPIPE: the other end was closed without sending; -EBADMSG: something else
 *         arrived.
 *
 */
int clone2_recv_fd(int socket, uint32_t *note);

#ifdef __cplusplus
}
#endif

#endif
