/* SPDX-License-Identifier: MIT */
/**
 * @file
 * libclone2supervise: gives clone2() to programs that another program starts, from within that
 * program. A target installs a seccomp filter (clone2/target.h) and hands its listener over; the
 * supervisor here sees each call through.
 *
 * Two ways to serve, for one supervisor one at a time:
 *   - clone2_supervisor_dispatch() on a thread of the program, whenever clone2_supervisor_fd() is
 *     readable: for a program with an event loop. No thread is made.
 *   - clone2_supervisor_run(): does not return before there is nothing left to serve, or
 *     clone2_supervisor_stop(), and makes threads as needed.
 *
 * Conventions. Functions return >= 0 or a negative errno value. No C++ exception leaves the
 * library; out of memory is -ENOMEM. Nothing is printed. No signal disposition is touched, and
 * SIGPIPE is never raised. No function is a cancellation point. Supervisors share no state: a
 * program may have several.
 *
 * Callbacks run on the thread that serves: in dispatch(), on its caller; in run(), on several
 * threads at once. No lock is held, so they may call add_listener(), listener_count() and stop()
 * of the same supervisor, but dispatch(), run() and free() refuse (-EBUSY, -EDEADLK). While one
 * does not return, neither does the target's call. They must not throw, longjmp() or end the
 * thread. What they are given is theirs until they return.
 *
 * Waiting for children. While a call is served its caller is traced (ptrace(2)) for some 50 us, and
 * stops in between. A stop is something that wait(2) tells of, to any thread of the process, even
 * where only ends were asked for and even of processes that are no children. For the targets that
 * makes no difference: this library finds a stop that somebody else has taken. For the program it
 * does:
 *   - With dispatch() in a program with one thread nothing is to be seen: the stop has been taken
 *     before dispatch() returns, and signals are held back on this thread until then.
 *   - Where one thread serves while another waits for children, that wait may return for a
 *     *stopped* process (WIFSTOPPED, CLD_TRAPPED) that has not ended, also without WUNTRACED, or
 *     for one that is not a child. Look at the status and wait again; or wait only for what has
 *     ended: when the child's pidfd (pidfd_open(2)) is readable.
 *   - A SIGCHLD comes with each stop, unless its handler was installed with SA_NOCLDSTOP.
 *   - The end of a child that dies in the midst of a call is left to the program; the end of any
 *     other target is passed on to its parent.
 *
 * fork(). A child must not use the parent's supervisor: functions return -ECHILD. Until it calls
 * exec() or ends, its copies of the listeners keep clone2_supervisor_free() in the parent from
 * letting waiting targets go.
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

/** Serves any number of listeners. Made by clone2_supervisor_new(). */
struct clone2_supervisor;

/** What a target asks for. Structs grow at their end; `size` is what the library knows. */
struct clone2_request {
    size_t size;
    void *cookie;        /**< of the listener */
    pid_t tid;           /**< the calling thread, in the supervisor's pid namespace */
    uint32_t nr_pids;    /**< as the caller gave it, whatever it is */
    uint64_t flags;      /**< CLONE_* | exit signal; 0 where it could not be read */
    const pid_t *pids;   /**< oldest pid namespace first; 0: the next free one */
    uint32_t pids_count; /**< entries in `pids`: nr_pids, or 0 where they could not be read */
};

/**
 * A call has been seen through. How it ended is reported by the target's own code, in the target's
 * own memory: a hostile target can report what it likes, also calls that never were. What can't be
 * a result at all becomes -EBADMSG; what is not as planned has a `doubt`.
 */
struct clone2_event {
    size_t size;
    const struct clone2_request *request;
    int64_t result;     /**< the child's pid in the caller's pid namespace, or -errno */
    const char *reason; /**< of a failure: one clause in English; else NULL */
    int64_t latency_us; /**< from picking the call up to the answer */
    int64_t time_ns;    /**< CLOCK_REALTIME when it ended */
    /** #CLONE2_WITH_DETAILS: the caller's command name, else "". Any bytes but 0, as the caller has
     * chosen them: not for a terminal as they are. */
    const char *comm;
    int level; /**< #CLONE2_WITH_DETAILS: nesting level of its pid namespace; else -1 */
    /** One clause where the target's report is not of what it was sent to do; else NULL. */
    const char *doubt;
};

/** Why a listener is not served any more. */
enum clone2_ended {
    CLONE2_ENDED_TARGETS_GONE = 0, /**< its last target has ended */
    CLONE2_ENDED_FREED = 1         /**< the supervisor was freed */
};

enum clone2_log_level { CLONE2_LOG_WARNING = 0, CLONE2_LOG_INFO = 1 };

/** Room for a policy's reason, with its final 0. */
#define CLONE2_REASON_SIZE 128

enum clone2_supervisor_flags {
    /** Events for failures only: a success then takes one round trip less (some 20 us). */
    CLONE2_FAILURES_ONLY = 1u << 0,
    /** Fill in an event's `comm` and `level`, which takes some system calls. */
    CLONE2_WITH_DETAILS = 1u << 1
};

/**
 * How a supervisor is to be. Initialise with #CLONE2_SUPERVISOR_OPTIONS_INIT, then set what is
 * wanted; all callbacks may be NULL. The struct may grow: `size` tells the library which one this
 * is.
 */
struct clone2_supervisor_options {
    size_t size;
    unsigned flags;          /**< enum clone2_supervisor_flags */
    unsigned dispatch_limit; /**< calls served by one dispatch(), 0: 16 */
    void *user;              /**< first argument of every callback */

    /** A call was seen through. On success the child exists, and the caller hasn't returned yet. */
    void (*event)(void *user, const struct clone2_event *event);

    /**
     * Whether to allow a call that could be made otherwise: 0, or a positive errno value that the
     * caller gets (EPERM in place of anything that is none). For a refusal it may write a reason,
     * a string of less than #CLONE2_REASON_SIZE bytes, for the event. Asked once more where the
     * program makes its first call: don't count here.
     *
     * This is no sandbox. It guides programs that cooperate and confines nobody: a program that
     * may choose pids may call clone3 itself, and another thread of it may change a call after it
     * was allowed. What confines is to take CAP_SYS_ADMIN and CAP_CHECKPOINT_RESTORE away.
     */
    int (*policy)(void *user, const struct clone2_request *request, char *reason);

    /**
     * A listener is not served any more: the last that is heard of its cookie. Called once for
     * each listener that was added. #CLONE2_ENDED_FREED comes from within free(), where no
     * function of the supervisor may be called.
     */
    void (*ended)(void *user, void *cookie, enum clone2_ended why);

    /**
     * A message for people, one line of printable ASCII without a newline: warnings, when a
     * target's call failed for reasons outside of it (at most ten in ten seconds), and what is
     * going on. Locks are held: no function of the supervisor may be called but stop().
     */
    void (*log)(void *user, enum clone2_log_level level, const char *message);
};

#define CLONE2_SUPERVISOR_OPTIONS_INIT                                                             \
    {                                                                                              \
        sizeof(struct clone2_supervisor_options), 0, 0, NULL, NULL, NULL, NULL, NULL               \
    }

/**
 * Makes a supervisor.
 *
 * @param options  copied; NULL: the defaults
 * @param out      where it is stored, to be given to clone2_supervisor_free()
 * @return 0, or -EINVAL (unknown flags, NULL `out`), -E2BIG (options of a later version that say
 *         something), -ENOMEM, -EMFILE, -ENOSYS (before Linux 5.0), -ENOENT (no /proc that shows
 *         this process's pid namespace, and no right to mount one).
 *
 * Thread-safe.
 */
int clone2_supervisor_new(const struct clone2_supervisor_options *options,
                          struct clone2_supervisor **out);

/**
 * Stops serving and frees the supervisor. Where dispatch() or run() is under way on another thread,
 * waits for its return: as long as a call under way takes, without bounds where its target is
 * frozen. Targets that wait for an answer, and all later calls, get ENOSYS; they live on.
 *
 * Nobody may call another function of the supervisor meanwhile, or afterwards.
 *
 * @return 0 (NULL is allowed); -EDEADLK: called from a callback of the same supervisor; -ECHILD: in
 *         a child made by fork(). In both cases nothing was freed.
 */
int clone2_supervisor_free(struct clone2_supervisor *supervisor);

/**
 * Serves this listener from now on, until its last target is gone (see `ended`).
 *
 * @param fd      the listener: from clone2_install_filter(), or of any other seccomp filter that
 *                sends clone2's number there and nothing else. On success it is the supervisor's,
 *                which closes it; the number may be in use for something else by the time this
 *                returns. On failure it stays the caller's.
 * @param cookie  told with everything about this listener
 * @param flags   enum clone2_listener_flags, 0: not known
 * @return 0, or -EBADF, -EINVAL (no seccomp listener; flags), -EMFILE, -ENOMEM, -ECHILD.
 *
 * Thread-safe; may be called in callbacks (but log) and while the supervisor serves.
 */
int clone2_supervisor_add_listener(struct clone2_supervisor *supervisor, int fd, void *cookie,
                                   unsigned flags);

/** How many listeners there are. Thread-safe. */
int clone2_supervisor_listener_count(struct clone2_supervisor *supervisor);

/**
 * One descriptor for all: readable (POLLIN) when dispatch() has something to do. For poll(),
 * epoll or io_uring, level- or edge-triggered with dispatch() called until it returns 0. It stays
 * the supervisor's: don't read, close or change it. The same as long as the supervisor lives.
 *
 * Async-signal-safe and thread-safe.
 */
int clone2_supervisor_fd(const struct clone2_supervisor *supervisor);

/**
 * Serves, on the calling thread, what is waiting: at most `dispatch_limit` calls, without waiting
 * for more. It takes as long as these take: some 50 us each; a target that can't reach its stop (a
 * frozen cgroup) or whose memory can't be read (userfaultfd, FUSE) holds it up without bounds. A
 * program that has such targets should use run(), which serves others meanwhile.
 *
 * Nobody else may receive from the listener: the kernel makes who comes second wait, and with it
 * dispatch() or run(), and all other listeners. A target that keeps a copy of its listener can do
 * that; where targets are not trusted, let clone2-shim or a runtime hand them to an agent
 * (clone2-supervise --listen), which notices.
 *
 * For one thread at a time, not always the same. errno is kept. From seizing a caller until it is
 * let go, signals are held back on this thread.
 *
 * @return how many notifications were served (a call has one or a few), 0: none was waiting;
 *         -EBUSY: dispatch() or run() is under way, maybe in this very thread (callbacks);
 *         -ECANCELED: after clone2_supervisor_stop(); -ENOMEM, -ECHILD.
 */
int clone2_supervisor_dispatch(struct clone2_supervisor *supervisor);

enum clone2_run_flags {
    /** Don't return for want of listeners: others may be added. */
    CLONE2_RUN_UNTIL_STOPPED = 1u << 0
};

/**
 * Serves on this thread and as many others as are needed, so that a call that is held up keeps no
 * other from being served. Handlers of the program's signals run on no thread of ours, but may on
 * this one, between calls. Our threads have stacks of 1 MiB, on which callbacks run, too. No thread
 * is left when it returns.
 *
 * @return 0: the last listener has ended, or there is none (may be called again);
 *         -ECANCELED: clone2_supervisor_stop(); -EBUSY: see dispatch(); -EINVAL: flags; -EAGAIN: no
 *         thread can be made; -ENOMEM, -ECHILD.
 */
int clone2_supervisor_run(struct clone2_supervisor *supervisor, unsigned flags);

/**
 * Stops serving, for good: run() returns when calls under way have been seen through, and the
 * descriptor becomes readable, for dispatch() to return -ECANCELED. Listeners stay until
 * clone2_supervisor_free(); their targets' calls wait until then.
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
