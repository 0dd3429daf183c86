/* SPDX-License-Identifier: MIT */
/*
 * embed_c PROGRAM [ARGUMENT...]: runs PROGRAM with clone2(), served from this program's own poll()
 * loop. Reports each call on stderr. Ends as PROGRAM did.
 *
 *   cc embed.c $(pkg-config --cflags --libs clone2supervise) -o embed_c
 */
#define _GNU_SOURCE
#include <clone2/supervise.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what, int err)
{
    fprintf(stderr, "embed_c: %s: %s\n", what, strerror(err));
    exit(125);
}

static void on_event(void *user, const struct clone2_event *event)
{
    (void)user;
    const struct clone2_request *request = event->request;
    fprintf(stderr, "embed_c: %d: clone2(flags 0x%llx, {", (int)request->tid,
            (unsigned long long)request->flags);
    for (uint32_t i = 0; i < request->pids_count; i++) {
        fprintf(stderr, "%s%d", i ? ", " : "", (int)request->pids[i]);
    }
    fprintf(stderr, "}) = %lld%s%s%s <%lld us>\n", (long long)event->result,
            event->reason ? " (" : "", event->reason ? event->reason : "", event->reason ? ")" : "",
            (long long)event->latency_us);
}

/* Runs between fork() and exec(). This process has one thread. In a multi-threaded process only
 * async-signal-safe functions, such as those of clone2/target.h, are allowed here: no fprintf(). */
static void become(char **program, int socket)
{
    unsigned listener_flags = 0;
    int listener = clone2_install_filter(CLONE2_DEFAULT_NR, 0, &listener_flags);
    if (listener < 0) {
        die("clone2_install_filter", -listener);
    }
    int sent = clone2_send_fd(socket, listener, listener_flags);
    if (sent < 0) {
        die("clone2_send_fd", -sent);
    }
    /* The listener is close-on-exec. If a copy stayed open in a target, the target's calls would
     * not fail when the supervisor is gone. */
    execvp(program[0], program);
    int err = errno;
    fprintf(stderr, "embed_c: %s: %s\n", program[0], strerror(err));
    _exit(err == ENOENT ? 127 : 126);
}

/* Watches both descriptors until the child has ended. Its descendants may still be running then:
 * they get ENOSYS once this program has ended. */
static int serve(struct clone2_supervisor *supervisor, pid_t child, int pidfd)
{
    struct pollfd polled[] = {{.fd = clone2_supervisor_fd(supervisor), .events = POLLIN},
                              {.fd = pidfd, .events = POLLIN}};
    for (;;) {
        if (poll(polled, 2, -1) < 0 && errno != EINTR) {
            die("poll", errno);
        }
        if (polled[0].revents) {
            int served = clone2_supervisor_dispatch(supervisor);
            if (served < 0) {
                die("clone2_supervisor_dispatch", -served);
            }
        }
        /* Wait only after the child has ended, so that a stop is not mistaken for its end. */
        if (polled[1].revents) {
            int status = 0;
            while (waitpid(child, &status, 0) < 0) {
                if (errno != EINTR) {
                    die("waitpid", errno);
                }
            }
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("usage: embed_c PROGRAM [ARGUMENT...]\n", stderr);
        return 2;
    }
    struct clone2_supervisor_options options = CLONE2_SUPERVISOR_OPTIONS_INIT;
    options.event = on_event;
    struct clone2_supervisor *supervisor = NULL;
    int made = clone2_supervisor_new(&options, &supervisor);
    if (made < 0) {
        die("clone2_supervisor_new", -made);
    }

    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
        die("socketpair", errno);
    }
    pid_t child = fork();
    if (child < 0) {
        die("fork", errno);
    }
    if (child == 0) {
        become(argv + 1, sockets[1]);
    }
    close(sockets[1]);

    int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    if (pidfd < 0) {
        die("pidfd_open", errno);
    }
    uint32_t listener_flags = 0;
    int listener = clone2_recv_fd(sockets[0], &listener_flags);
    if (listener >= 0) {
        int added = clone2_supervisor_add_listener(supervisor, listener, NULL, listener_flags);
        if (added < 0) {
            die("clone2_supervisor_add_listener", -added);
        }
    } /* else the child has reported why, and ends */
    close(sockets[0]);

    int status = serve(supervisor, child, pidfd);
    clone2_supervisor_free(supervisor);
    return status;
}
