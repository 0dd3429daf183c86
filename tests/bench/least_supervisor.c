// SPDX-License-Identifier: MIT
//
// least-supervisor NUMBER PROGRAM ARG...: each call of this number becomes a clone3 with the same
// arguments. It does what no supervisor can do without (receive, seize, interrupt, answer, wait for
// the stop, set the number and the instruction pointer, detach) and nothing else: no checks, no
// translation, no care for targets that die. What a call costs under it is the least that it can
// cost under any supervisor that uses ptrace.
#include "base/fd_message.h"
#include "filter/seccomp_filter.h"
#include "redirect.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, uint64_t)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

enum { OWN_FAILURE = 125 };

static int listener;

static void serve_one(void)
{
    struct seccomp_notif call;
    memset(&call, 0, sizeof call);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) {
        return; /* another thread was faster */
    }
    const pid_t tid = (pid_t)call.pid;
    struct seccomp_notif_resp answer = {.id = call.id, .error = -ENOSYS};
    siginfo_t stop;
    if (ptrace(PTRACE_SEIZE, tid, 0, 0) != 0 || ptrace(PTRACE_INTERRUPT, tid, 0, 0) != 0 ||
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) != 0 ||
        waitid(P_ALL, 0, &stop, WSTOPPED | WNOWAIT | (int)(__WNOTHREAD | __WCLONE)) != 0 ||
        redirect(tid, call.data.instruction_pointer, SYS_clone3) != 0 ||
        ptrace(PTRACE_DETACH, tid, 0, 0) != 0) {
        err(OWN_FAILURE, "a call of %d", tid);
    }
}

static void *serve(void *unused)
{
    for (;;) {
        struct pollfd ready = {.fd = listener, .events = POLLIN};
        if (poll(&ready, 1, -1) == 1 && (ready.revents & POLLHUP) != 0) {
            return unused;
        }
        serve_one();
    }
}

/* In the child: installs the filter, sends its listener and becomes PROGRAM. */
static void become(int socket, int number, char **program)
{
    struct sock_filter steps[FILTER_NOTIFY_STEPS + 1];
    struct sock_fprog filter = {0, steps};
    filter_notify(&filter, NATIVE_AUDIT_ARCH, number, NULL, 0);
    filter_answer(&filter, SECCOMP_RET_ALLOW);
    struct filter_options how = {
        SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, 0, 1, 0};
    const int fd = (int)filter_install(&filter, &how);
    if (fd < 0 || send_with_fds(socket, "", 1, &fd, 1, 0) != 1) {
        errx(OWN_FAILURE, "the filter");
    }
    close(fd);
    execv(program[0], program);
    err(OWN_FAILURE, "%s", program[0]);
}

int main(int argc, char **argv)
{
    int sockets[2];
    if (argc < 3 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
        errx(OWN_FAILURE, "usage: least-supervisor NUMBER PROGRAM ARG...");
    }
    const pid_t program = fork();
    if (program == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        become(sockets[1], atoi(argv[1]), argv + 2);
    }
    close(sockets[1]);
    char byte;
    const struct message_received got = receive_with_fds(sockets[0], &byte, 1, &listener, 1, 0);
    if (program < 0 || got.fd_count != 1) {
        errx(OWN_FAILURE, "no listener");
    }
    /* Slower without (before 6.6). */
    (void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    const char *const threads = getenv("LEAST_THREADS"); /* of this program that serve; 1 */
    for (int i = 1; i < (threads ? atoi(threads) : 1); i++) {
        pthread_t other;
        if (pthread_create(&other, NULL, serve, NULL) != 0) {
            errx(OWN_FAILURE, "no thread");
        }
    }
    serve(NULL);
    int status = 0;
    while (waitpid(program, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : OWN_FAILURE;
}
