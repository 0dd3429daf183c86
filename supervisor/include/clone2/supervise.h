/* SPDX-License-Identifier: MIT */
/**
 * @file
 * libclone2supervise lets a program give clone2() to the programs it starts. A target installs
 * a seccomp filter (clone2/target.h) and hands its listener to the supervisor in the starting
 * program, which completes each call.
 *
 * There are two ways to serve; a supervisor uses one at a time:
 *   - clone2_supervisor_dispatch() on a thread of the program, whenever clone2_supervisor_fd() is
 *     readable. For programs with an event loop. Creates no thread.
 *   - clone2_supervisor_run(), which returns when nothing is left to serve or after
 *     clone2_supervisor_stop(). Creates threads as needed.
 *
 * Conventions. Functions return >= 0 or a negative errno value. No C++ exception leaves the
 * library; out of memory is -ENOMEM. The library prints nothing, changes no signal disposition and
 * never raises SIGPIPE. No function is a cancellation point. Supervisors share no state, so a
 * program may have several.
 *
 * Callbacks run on the thread that serves: the caller of dispatch(), or with run() several threads
 * at once. No lock is held, so they may call add_listener(), listener_count() and stop() of the
 * same supervisor; dispatch(), run() and free() refuse (-EBUSY, -EDEADLK). The target's call waits
 * until the callback returns. Callbacks must not throw, longjmp() or end the thread. Pointers
 * passed to them are valid until they return.
 *
 * Waiting for children. While the supervisor serves a call, it traces the caller (ptrace(2)) for
 * some 50 us, and the caller stops in that time. wait(2) reports a stop to any thread of the
 * tracing process, even if that thread asked only for ends, and even if the stopped process is not
 * a child. The targets are not affected: the library also handles a stop that another thread has
 * consumed. The program may be:
 *   - With dispatch() in a single-threaded program, it sees nothing: dispatch() consumes the stop
 *     before it returns, and blocks signals on this thread until then.
 *   - If one thread serves while another waits for children, that wait may return for a *stopped*
 *     process (WIFSTOPPED, CLD_TRAPPED) that has not ended, even without WUNTRACED, or for a
 *     process that is not a child. Check the status and wait again; or wait only for processes
 *     that have ended, i.e. when the child's pidfd (pidfd_open(2)) is readable.
 *   - Each stop sends SIGCHLD, unless its handler was installed with SA_NOCLDSTOP.
 *   - If a child dies in the middle of a call, its end is left for the program to wait for. The end
 *     of any other target is passed on to its parent.
 *
 * fork(). A child must not use the parent's supervisor: functions return -ECHILD. Until the child
 * calls exec() or ends, it holds copies of the listeners, so clone2_supervisor_free() in the parent
 * can't release waiting targets.
 *
 * Async-signal-safe: clone2_supervisor_stop(), clone2_supervisor_fd(), and all of clone2/target.h.
 */
#ifndef CLONE2_SUPERVISE_H
#define CLONE2_SUPERVISE_H

#include <clone2/target.h>

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Serves any number of listeners. Created by clone2_supervisor_new(). */
struct clone2_supervisor;

/** What a target asks for. Structs grow at their end; `size` is the size the library uses. */
struct clone2_request {
    size_t size;
    void *cookie;        /**< the listener's */
    pid_t tid;           /**< the calling thread, in the supervisor's pid namespace */
    uint32_t nr_pids;    /**< as given by the caller, unchecked */
    uint64_t flags;      /**< CLONE_* | exit signal; 0 if they could not be read */
    const pid_t *pids;   /**< oldest pid namespace first; 0: the next free one */
    uint32_t pids_count; /**< entries in `pids`: nr_pids, or 0 if they could not be read */
    /** #CLONE2_WITH_DETAILS: the caller's command name, else "". The caller chooses it, and it may
     * contain any byte but 0: don't print it unescaped. */
    const char *comm;
    int level;   /**< #CLONE2_WITH_DETAILS: level of the child's pid namespace; else -1 */
    int64_t uid; /**< #CLONE2_WITH_DETAILS: the caller's effective uid; else -1 */
};

/**
 * A call has completed. The target's own code, in the target's own memory, reports the result: a
 * hostile target can report anything, even calls it never made. A value that can't be a result
 * becomes -EBADMSG; a result that does not match the plan has a `doubt`.
 */
struct clone2_event {
    size_t size;
    const struct clone2_request *request;
    int64_t result;     /**< the child's pid in the caller's pid namespace, or -errno */
    const char *reason; /**< the reason for a failure, one clause; else NULL */
    int64_t latency_us; /**< from receiving the call to answering it */
    int64_t time_ns;    /**< CLOCK_REALTIME when it ended */
    /** #CLONE2_WITH_DETAILS: the caller's command name, else "". The caller chooses it, and it may
     * contain any byte but 0: don't print it unescaped. */
    const char *comm;
    int level; /**< #CLONE2_WITH_DETAILS: nesting level of the child's pid namespace; else -1 */
    /** One clause if the target's report does not match what it was sent to do; else NULL. */
    const char *doubt;
    /** #CLONE2_WITH_DETAILS: the child's pid in the supervisor's pid namespace. 0: there is no
     * child, or it can't be found out (in a nested pid namespace before Linux 6.11). */
    pid_t child_here;
};

/** Why a listener is no longer served. */
enum clone2_ended {
    CLONE2_ENDED_TARGETS_GONE = 0, /**< its last target has ended */
    CLONE2_ENDED_FREED = 1         /**< the supervisor was freed */
};

enum clone2_log_level { CLONE2_LOG_WARNING = 0, CLONE2_LOG_INFO = 1 };

/** Size of a policy's reason, including the final 0. */
#define CLONE2_REASON_SIZE 128

enum clone2_supervisor_flags {
    /** Report failures only: each success then takes one round trip less (some 20 us). */
    CLONE2_FAILURES_ONLY = 1u << 0,
    /** Fill in `comm`, `level`, `uid` and `child_here`; this costs some system calls. */
    CLONE2_WITH_DETAILS = 1u << 1
};

/**
 * Options of a supervisor. Initialise with #CLONE2_SUPERVISOR_OPTIONS_INIT, then set what you need;
 * all callbacks may be NULL. The struct may grow: `size` identifies its version.
 */
struct clone2_supervisor_options {
    size_t size;
    unsigned flags;          /**< enum clone2_supervisor_flags */
    unsigned dispatch_limit; /**< most calls served by one dispatch(); 0: 16 */
    void *user;              /**< first argument of every callback */

    /** A call has completed. On success the child exists, and the caller has not returned yet. */
    void (*event)(void *user, const struct clone2_event *event);

    /**
     * Decides on a valid call: 0 allows it; a positive errno value refuses it and goes to the
     * caller (EPERM replaces any other value). For a refusal it may write a reason for the event:
     * a string of less than #CLONE2_REASON_SIZE bytes. It is asked twice about a program's first
     * call, so don't count calls here.
     *
     * This is no sandbox. It guides cooperating programs and confines none: a program that may
     * choose pids may call clone3 itself, and another of its threads may change a call after it
     * was allowed. To confine a program, take CAP_SYS_ADMIN and CAP_CHECKPOINT_RESTORE from it.
     */
    int (*policy)(void *user, const struct clone2_request *request, char *reason);

    /**
     * A listener is no longer served, and its cookie is not used again. Called once for each
     * listener that was added. #CLONE2_ENDED_FREED is reported inside free(), where no function of
     * the supervisor may be called.
     */
    void (*ended)(void *user, void *cookie, enum clone2_ended why);

    /**
     * A message for people, one line of printable ASCII without a newline: a warning if a target's
     * call failed for a reason outside the target (at most ten in ten seconds), or information.
     * Locks are held: the only function of the supervisor that may be called is stop().
     */
    void (*log)(void *user, enum clone2_log_level level, const char *message);
};

#define CLONE2_SUPERVISOR_OPTIONS_INIT                                                             \
    {                                                                                              \
        sizeof(struct clone2_supervisor_options), 0, 0, NULL, NULL, NULL, NULL, NULL               \
    }

/**
 * Creates a supervisor.
 *
 * @param options  copied; NULL: the defaults
 * @param out      receives the supervisor; free it with clone2_supervisor_free()
 * @return 0, or -EINVAL (unknown flags, NULL `out`), -E2BIG (non-zero options of a later version),
 *         -ENOMEM, -EMFILE, -ENOSYS (before Linux 5.0), -ENOENT (no /proc that shows this process's
 *         pid namespace, and no permission to mount one).
 *
 * Thread-safe.
 */
int clone2_supervisor_new(const struct clone2_supervisor_options *options,
                          struct clone2_supervisor **out);

/**
 * Stops serving and frees the supervisor. If dispatch() or run() is in progress on another thread,
 * waits until it returns: as long as its current call takes, without limit if the target is
 * frozen. Targets that wait for an answer, and all later calls, get ENOSYS; the targets live on.
 *
 * No other function of the supervisor may be called during or after this.
 *
 * @return 0 (also for NULL); -EDEADLK: called from a callback of the same supervisor; -ECHILD: in
 *         a child made by fork(). In both error cases nothing was freed.
 */
int clone2_supervisor_free(struct clone2_supervisor *supervisor);

/**
 * Serves this listener from now on, until its last target is gone (see `ended`).
 *
 * @param fd      the listener: from clone2_install_filter(), or of any other seccomp filter that
 *                sends it clone2's number and nothing else. On success the supervisor owns it and
 *                closes it; its number may already be reused when this returns. On failure the
 *                caller keeps it.
 * @param cookie  passed to callbacks about this listener
 * @param flags   enum clone2_listener_flags; 0: unknown
 * @return 0, or -EBADF, -EINVAL (not a seccomp listener; flags), -EMFILE, -ENOMEM, -ECHILD.
 *
 * Thread-safe; may be called in callbacks (except log) and while the supervisor serves.
 */
int clone2_supervisor_add_listener(struct clone2_supervisor *supervisor, int fd, void *cookie,
                                   unsigned flags);

/** The number of listeners being served. Thread-safe. */
int clone2_supervisor_listener_count(struct clone2_supervisor *supervisor);

/**
 * One descriptor for all listeners: readable (POLLIN) when dispatch() has something to do. For
 * poll(), epoll or io_uring; if edge-triggered, call dispatch() until it returns 0. The supervisor
 * owns it: don't read, close or change it. It stays the same while the supervisor exists.
 *
 * Async-signal-safe and thread-safe.
 */
int clone2_supervisor_fd(const struct clone2_supervisor *supervisor);

/**
 * Serves waiting calls on the calling thread, at most `dispatch_limit`, and does not wait for more.
 * Each call takes some 50 us. A target that can't reach its stop (a frozen cgroup) or whose memory
 * can't be read (userfaultfd, FUSE) blocks it without limit. A program with such targets should
 * use run(), which serves others in the meantime.
 *
 * No other process may receive from the listener: the kernel makes the second receiver wait, and
 * with it dispatch() or run() and all other listeners. A target that keeps a copy of its listener
 * can cause this. If targets are not trusted, let clone2-shim or a runtime hand their listeners to
 * an agent (clone2-supervise --listen), which detects it.
 *
 * Must not run on two threads at once, but may run on different threads in turn. Keeps errno.
 * Blocks signals on this thread while a caller is traced.
 *
 * @return the number of notifications served (one or a few per call); 0: none was waiting;
 *         -EBUSY: dispatch() or run() is in progress, possibly on this thread (callbacks);
 *         -ECANCELED: after clone2_supervisor_stop(); -ENOMEM, -ECHILD.
 */
int clone2_supervisor_dispatch(struct clone2_supervisor *supervisor);

enum clone2_run_flags {
    /** Don't return when no listener is left: others may be added. */
    CLONE2_RUN_UNTIL_STOPPED = 1u << 0
};

/**
 * Serves on this thread and on as many others as needed, so that a call that is held up does not
 * delay others. The program's signal handlers never run on the library's threads, but may run on
 * this one, between calls. The library's threads have 1 MiB stacks, on which callbacks run, too.
 * None of them is left when this returns.
 *
 * @return 0: the last listener has ended, or there was none (may be called again);
 *         -ECANCELED: clone2_supervisor_stop(); -EBUSY: see dispatch(); -EINVAL: flags; -EAGAIN: no
 *         thread could be created; -ENOMEM, -ECHILD.
 */
int clone2_supervisor_run(struct clone2_supervisor *supervisor, unsigned flags);

/**
 * Stops serving permanently: run() returns after the calls in progress have completed, and the
 * descriptor becomes readable, so that dispatch() returns -ECANCELED. Listeners remain until
 * clone2_supervisor_free(); calls of their targets wait until then.
 *
 * Async-signal-safe and thread-safe; may be called in callbacks.
 */
void clone2_supervisor_stop(struct clone2_supervisor *supervisor);

/** The library's version, "MAJOR.MINOR.PATCH". */
const char *clone2_supervise_version(void);

#ifdef __cplusplus
}
#endif

#endif
