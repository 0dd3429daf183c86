// SPDX-License-Identifier: MIT
// clone2-refuse NR[:ARG@VALUE|:ARG&BITS]=ERRNO... -- PROGRAM [ARG...]: these system calls of
// PROGRAM and its children get this errno, always, or if argument ARG (0..5) has this VALUE or one
// of these BITS. Simulates an older kernel (ENOSYS, EINVAL) or a container's policy (EPERM). "kill"
// instead of ERRNO: the call ends its process.
#include "filter/seccomp_filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_RULES = 64 };

// Returns false if the text is not a rule.
static int add_rule(struct sock_fprog *program, const char *rule)
{
    char *end;
    const unsigned number = (unsigned)strtoul(rule, &end, 0);
    unsigned argument = 0;
    unsigned value = 0;
    char test = 0;
    if (*end == ':') {
        argument = (unsigned)strtoul(end + 1, &end, 0);
        test = *end;
        if ((test != '@' && test != '&') || argument > 5) {
            return 0;
        }
        value = (unsigned)strtoul(end + 1, &end, 0);
    }
    if (*end != '=') {
        return 0;
    }
    const int kill = strcmp(end + 1, "kill") == 0;
    const unsigned error = (unsigned)strtoul(end + 1, &end, 0) & SECCOMP_RET_DATA;
    if (*end != 0 && !kill) {
        return 0;
    }
    filter_load(program, nr);
    filter_if_equal(program, number, 0, test ? 3 : 1);
    if (test) {
        filter_load(program, args[argument]);
        filter_add(program, BPF_JMP | (test == '@' ? BPF_JEQ : BPF_JSET) | BPF_K, value, 0, 1);
    }
    filter_answer(program, kill ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | error);
    return 1;
}

int main(int argc, char **argv)
{
    static struct sock_filter steps[4 * MAX_RULES + 1];
    struct sock_fprog program = {0, steps};
    int i = 1;
    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (i > MAX_RULES || !add_rule(&program, argv[i])) {
            fprintf(stderr, "usage: clone2-refuse NR[:ARG@VALUE|:ARG&BITS]=ERRNO... -- PROGRAM "
                            "[ARG...]\n");
            return 99;
        }
    }
    filter_answer(&program, SECCOMP_RET_ALLOW);
    // Without no_new_privs if possible, so that the test sees whether the wrapper sets it.
    struct filter_options how = {.may_set_no_new_privs = 1};
    if (filter_install(&program, &how) != 0) {
        fprintf(stderr, "clone2-refuse: no filter can be installed\n");
        return 99;
    }
    if (i + 1 < argc) {
        execvp(argv[i + 1], &argv[i + 1]);
    }
    perror("execvp");
    return 99;
}
