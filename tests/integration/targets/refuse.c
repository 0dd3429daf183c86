// SPDX-License-Identifier: MIT
// clone2-refuse NR[:ARG@VALUE|:ARG&BITS]=ERRNO... -- PROGRAM [ARG...]: PROGRAM and its children get
// this errno from these system calls: from all, or where argument ARG (0..5) has this VALUE or one
// of these BITS. Simulates an older kernel (ENOSYS, EINVAL) or a container's policy (EPERM).
// "kill" in place of ERRNO: the call ends its process.
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

struct filter {
    struct sock_filter code[6 * MAX_RULES + 2];
    unsigned short length;
};

static void add(struct filter *f, struct sock_filter instruction)
{
    f->code[f->length++] = instruction;
}

static void load(struct filter *f, size_t offset)
{
    add(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset));
}

// False: not a rule.
static int add_rule(struct filter *f, const char *rule)
{
    char *end;
    const unsigned number = (unsigned)strtoul(rule, &end, 0);
    unsigned argument = 0;
    unsigned value = 0;
    char test = 0;
    if (*end == ':') {
        argument = (unsigned)strtoul(end + 1, &end, 0);
        test = *end;
        if ((test != '@' && test != '&') || argument > 5)
            return 0;
        value = (unsigned)strtoul(end + 1, &end, 0);
    }
    if (*end != '=')
        return 0;
    const int kill = strcmp(end + 1, "kill") == 0;
    const unsigned error = (unsigned)strtoul(end + 1, &end, 0) & SECCOMP_RET_DATA;
    if (*end != 0 && !kill)
        return 0;
    load(f, offsetof(struct seccomp_data, nr));
    add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, test ? 3 : 1));
    if (test) {
        // Little-endian: the lower half comes first.
        load(f, offsetof(struct seccomp_data, args) + argument * sizeof(__u64));
        add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | (test == '@' ? BPF_JEQ : BPF_JSET) | BPF_K,
                                            value, 0, 1));
    }
    add(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, kill ? SECCOMP_RET_KILL_PROCESS
                                                              : SECCOMP_RET_ERRNO | error));
    return 1;
}

int main(int argc, char **argv)
{
    struct filter filter = {.length = 0};
    int i = 1;
    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (i > MAX_RULES || !add_rule(&filter, argv[i])) {
            fprintf(stderr, "usage: clone2-refuse NR[:ARG@VALUE|:ARG&BITS]=ERRNO... -- PROGRAM "
                            "[ARG...]\n");
            return 99;
        }
    }
    add(&filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    struct sock_fprog program = {filter.length, filter.code};
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
