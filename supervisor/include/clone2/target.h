/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The target's side of libclone2supervise: what a process does, between fork() and exec(), to have
 * its clone2 calls (and those of all its descendants) served by a supervisor; and how the listener
 * gets there. Nothing here allocates memory or takes a lock.
 *
 * All functions return >= 0, or a negative errno value.
 */
#ifndef CLONE2_TARGET_H
#define CLONE2_TARGET_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The number that clone2 has by default. Any other is as good that no system call has. */
#define CLONE2_DEFAULT_NR 387

/** How a listener was installed: from clone2_install_filter() to clone2_supervisor_add_listener().
 */
enum clone2_listener_flags {
    /** With WAIT_KILLABLE_RECV (Linux 5.19): a call being served is kept through signals. */
    CLONE2_LISTENER_WAIT_KILLABLE = 1u << 0,
    /** Without it. If neither is set, that is found out by the first call. */
    CLONE2_LISTENER_NOT_WAIT_KILLABLE = 1u << 1,
    /** No-new-privs had to be set. For information; add_listener() ignores it. */
    CLONE2_LISTENER_NO_NEW_PRIVS = 1u << 2
};

/** What clone2_install_filter() is not to do. */
enum clone2_filter_flags {
    /** Do without WAIT_KILLABLE_RECV, as before Linux 5.19. For tests. */
    CLONE2_FILTER_NOT_WAIT_KILLABLE = 1u << 0,
    /** Leave no-new-privs alone: -EACCES where the caller has no CAP_SYS_ADMIN. */
    CLONE2_FILTER_KEEP_PRIVS = 1u << 1
};

/**
 * Installs the filter on the calling thread: from now on, system call `nr` of this thread and all
 * that it becomes (fork, exec) goes to the listener, every other call to the kernel as before.
 * The calling thread should be the only one, as after fork().
 *
 * It sets no-new-privs where the kernel asks for that (no CAP_SYS_ADMIN): set-user-ID programs then
 * run without their privilege.
 *
 * @param nr              the number, 0..0x3fffffff, usually #CLONE2_DEFAULT_NR. It must not be
 *                        needed by the caller itself.
 * @param flags           enum clone2_filter_flags
 * @param listener_flags  if not NULL: enum clone2_listener_flags, to go along with the listener
 * @return the listener, close-on-exec, to be handed to the supervisor; or
 *         -EINVAL: `nr` or `flags`, or no seccomp user notification (before Linux 5.0);
 *         -EBUSY: there is a listener on this filter chain already, and can be only one;
 *         -EACCES: see #CLONE2_FILTER_KEEP_PRIVS.
 *
 * Async-signal-safe and thread-safe. See seccomp(2), seccomp_unotify(2).
 */
int clone2_install_filter(int nr, unsigned flags, unsigned *listener_flags);

/**
 * Sends a descriptor, and a number with it, through a connected Unix socket of any type. The
 * sender keeps its own copy. Raises no SIGPIPE.
 *
 * @return 0, or a negative errno value of sendmsg(2) (-EPIPE: the other end is gone).
 *
 * Async-signal-safe and thread-safe.
 */
int clone2_send_fd(int socket, int fd, uint32_t note);

/**
 * Receives what clone2_send_fd() sent, waiting for it unless the socket is non-blocking.
 *
 * @param note  if not NULL: the number that came along
 * @return the descriptor, close-on-exec, the caller's; or a negative errno value of recvmsg(2),
 *         -EPIPE: the other end was closed without sending one; -EBADMSG: something else came.
 *
 * Async-signal-safe and thread-safe.
 */
int clone2_recv_fd(int socket, uint32_t *note);

#ifdef __cplusplus
}
#endif

#endif
