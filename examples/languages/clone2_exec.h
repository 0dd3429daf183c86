/* SPDX-License-Identifier: MIT */
/* For runtimes with several threads: the child has only the calling one, so it must exec or exit
 * at once, in C. */
#ifndef CLONE2_EXEC_H
#define CLONE2_EXEC_H

#include "clone2.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Executes argv[0] in a child with this pid. Returns the pid, or -1 with errno. */
static inline pid_t clone2_exec(pid_t pid, char *const argv[])
{
    struct clone_struct args = {.flags = SIGCHLD, .nr_pids = 1};
    long result = syscall(__NR_clone2, &args, &pid);
    if (result == 0) {
        // Node ignores SIGPIPE and closes all its descriptors on exec.
        signal(SIGPIPE, SIG_DFL);
        for (int fd = 0; fd <= 2; fd++) {
            fcntl(fd, F_SETFD, 0);
        }
        execv(argv[0], argv);
        _exit(127);
    }
    return (pid_t)result;
}

#endif
