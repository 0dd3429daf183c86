// SPDX-License-Identifier: MIT
// clone2-refuse NR=ERRNO... -- PROGRAM [ARG...]: PROGRAM and its children get this errno from these
// system calls. Simulates an older kernel (ENOSYS) or a container's policy (EPERM).
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { MAX_RULES = 64 };

int main(int argc, char **argv)
{
    struct sock_filter code[2 * MAX_RULES + 2];
    unsigned short length = 0;
    code[length++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    int i = 1;
    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        char *end;
        unsigned number = (unsigned)strtoul(argv[i], &end, 10);
        if (*end != '=' || i > MAX_RULES) {
            fprintf(stderr, "usage: clone2-refuse NR=ERRNO... -- PROGRAM [ARG...]\n");
            return 99;
        }
        unsigned error = (unsigned)strtoul(end + 1, NULL, 10) & SECCOMP_RET_DATA;
        code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1);
        code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
    }
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {length, code};
    // Without no_new_privs where that is possible, so that it is the wrapper's own that is seen.
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0 &&
        (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)) {
        perror("seccomp");
        return 99;
    }
    if (i + 1 < argc)
        execvp(argv[i + 1], &argv[i + 1]);
    perror("execvp");
    return 99;
}
