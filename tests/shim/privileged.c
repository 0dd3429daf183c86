// SPDX-License-Identifier: MIT
// What a set-user-ID program linked with libclone2 sees of its caller's environment. Prints its
// initial user ids, the seccomp mode and the answer to number 400, and then drops its rights
// permanently.
#define _GNU_SOURCE
#include "clone2.h"

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

long (*const in_use)(struct clone_struct *, pid_t *) = clone2; // forces it to be linked

int main(void)
{
    uid_t real = 0;
    uid_t effective = 0;
    uid_t saved = 0;
    getresuid(&real, &effective, &saved);
    printf("started as %d %d\n", (int)real, (int)effective);
    printf("seccomp %d\n", prctl(PR_GET_SECCOMP, 0, 0, 0, 0));
    printf("400: %ld", syscall(400, 8, 8));
    printf(" %d\n", errno);
    const int result = setuid(real);
    getresuid(&real, &effective, &saved);
    printf("dropped: %d, now %d %d %d\n", result, (int)real, (int)effective, (int)saved);
    return 0;
}
