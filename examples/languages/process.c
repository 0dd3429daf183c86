// SPDX-License-Identifier: MIT
// cc -I../../shim process.c -o process (musl-gcc -static works, too)
#include "clone2.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    pid_t pid = argc > 1 ? atoi(argv[1]) : 7000;
    struct clone_struct args = {.flags = SIGCHLD, .nr_pids = 1};
    long child = syscall(__NR_clone2, &args, &pid);
    if (child == 0) {
        printf("child: my pid is %d\n", (int)getpid());
        return 0;
    }
    if (child < 0) {
        perror("clone2");
        return 1;
    }
    waitpid((pid_t)child, NULL, 0);
    printf("parent: the child's pid was %ld\n", child);
    return 0;
}
