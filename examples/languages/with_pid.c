// SPDX-License-Identifier: MIT
// cc -I../../shim with_pid.c -o with_pid
// with_pid PID /PATH/PROGRAM [ARG...]: for shells, which can't make system calls. Runs the program
// with this pid, waits for it and exits as it did.
#include "clone2_exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
    int status = 0;
    if (argc < 3) {
        fprintf(stderr, "usage: with_pid PID /PATH/PROGRAM [ARG...]\n");
        return 125;
    }
    pid_t child = clone2_exec(atoi(argv[1]), argv + 2);
    if (child < 0) {
        perror("with_pid: clone2");
        return 125;
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
