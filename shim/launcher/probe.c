// SPDX-License-Identifier: MIT
// The kernel takes the strictest answer of all filters, so a sandbox's filter may refuse a number
// although ours is installed. Only making the call shows it, and a filter may kill the caller. So a
// child makes it. The child has no exit signal: PROGRAM must not find a pending SIGCHLD.
#include "probe.h"

#include "base/arch/native.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>

int under_a_filter(void)
{
    return raw_call(SYS_prctl, PR_GET_SECCOMP) != SECCOMP_MODE_DISABLED;
}

// The parent of a probing child: answers its call, or returns when it has ended. 0: it can't.
static int answer(long listener, long child_ended)
{
    static union {
        struct seccomp_notif notif;
        char room[512]; // a later kernel's may be larger
    } received;
    static union {
        struct seccomp_notif_resp response;
        char room[512];
    } sent;
    struct pollfd polled[] = {{(int)listener, POLLIN, 0}, {(int)child_ended, POLLIN, 0}};
    long ready;
    do {
        ready = raw_call(SYS_ppoll, polled, 2, NULL, NULL, 0);
    } while (ready == -EINTR);
    if (ready < 0) {
        return 0;
    }
    if (!(polled[0].revents & POLLIN)) {
        return 1;
    }
    memset(&received, 0, sizeof received); // NOTIF_RECV accepts nothing else
    if (raw_call(SYS_ioctl, listener, SECCOMP_IOCTL_NOTIF_RECV, &received) < 0) {
        return 0;
    }
    memset(&sent, 0, sizeof sent);
    sent.response.id = received.notif.id;
    sent.response.error = -PROBE_REACHED;
    return raw_call(SYS_ioctl, listener, SECCOMP_IOCTL_NOTIF_SEND, &sent) >= 0;
}

long probe_call(long listener, long nr, const struct shared_number *shared)
{
    uint64_t args[6] = {0};
    if (shared) {
        satisfy_guards(shared->guards, shared->guard_count, args);
    }
    // A child that could not be waited for would stay PROGRAM's.
    int status = 0;
    int ends[2] = {-1, -1};
    if (raw_call(SYS_wait4, raw_call(SYS_getpid), &status, WNOHANG, NULL) != -ECHILD ||
        raw_call(SYS_pipe2, ends, O_CLOEXEC) < 0) {
        return PROBE_FAILED;
    }
    const long child = raw_call(SYS_clone, 0, 0, 0, 0, 0);
    if (child == 0) {
        raw_call(SYS_prctl, PR_SET_DUMPABLE, 0); // a filter that kills must not leave a core
        const long result = raw_call(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
        for (;;) {
            raw_call(SYS_exit_group, result < 0 ? -result : 0);
        }
    }
    raw_call(SYS_close, ends[1]); // the child has the only one
    long seen = PROBE_FAILED;
    if (child > 0) {
        const int answered = listener == NO_LISTENER || answer(listener, ends[0]);
        if (!answered) {
            raw_call(SYS_kill, child, SIGKILL);
        }
        long waited;
        do {
            waited = raw_call(SYS_wait4, child, &status, __WALL, NULL);
        } while (waited == -EINTR);
        if (answered && waited == child) {
            seen = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
        }
    }
    raw_call(SYS_close, ends[0]);
    return seen;
}

int is_refused(long seen)
{
    return seen != PROBE_REACHED && seen != PROBE_FAILED;
}

void add_outcome(struct text *text, long seen)
{
    if (seen >= 0) {
        add_error_name(text, seen);
    } else if (seen == -SIGSYS) { // a filter sends no other signal
        add(text, "SIGSYS");
    } else {
        add(text, "signal ");
        add_number(text, -seen);
    }
}
