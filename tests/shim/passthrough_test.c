// SPDX-License-Identifier: MIT
// Preloaded: syscall() passes every other number on exactly. This program's own filter shows what
// the kernel gets, and gives the answers that the test needs.
#define _GNU_SOURCE
#include "arch_registers.h"
#include "expect.h"
#include "filter/seccomp_filter.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { UNUSED_NUMBER = 500 };

static unsigned long seen[6];
static long answer;

static void record(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    arch_read_arguments(context, seen);
    arch_set_result(context, answer);
}

static void trap_unused_number(void)
{
    struct sock_filter steps[4];
    struct sock_fprog program = {0, steps};
    filter_load(&program, nr);
    filter_if_equal(&program, UNUSED_NUMBER, 0, 1);
    filter_answer(&program, SECCOMP_RET_TRAP);
    filter_answer(&program, SECCOMP_RET_ALLOW);
    struct sigaction action = {.sa_sigaction = record, .sa_flags = SA_SIGINFO};
    EXPECT(0, sigaction(SIGSYS, &action, NULL));
    struct filter_options how = {.may_set_no_new_privs = 1};
    EXPECT(0, filter_install(&program, &how));
}

int main(void)
{
    // It must be ours, or the test proves nothing.
    Dl_info where;
    void *symbol = dlsym(RTLD_DEFAULT, "syscall");
    EXPECT(1, dladdr(symbol, &where) != 0 && strstr(where.dli_fname, "libclone2") != NULL);

    trap_unused_number();
    uint64_t x = 88172645463325252ULL;
    for (int i = 0; i < 1000; i++) {
        unsigned long a[6];
        for (int j = 0; j < 6; j++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            a[j] = (unsigned long)x;
        }
        answer = i;
        const long number = i & 1 ? arch_garbage_above(UNUSED_NUMBER) : UNUSED_NUMBER;
        EXPECT(i, syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]));
        EXPECT(0, memcmp(a, seen, sizeof a));
    }
    for (answer = -1; answer >= -4095; answer--) {
        errno = 0;
        EXPECT(-1, syscall(UNUSED_NUMBER));
        EXPECT(-answer, errno);
    }
    // Not errors.
    static const long others[] = {-4096, LONG_MIN, LONG_MAX, 0, 4095, LONG_MIN / 4};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        answer = others[i];
        errno = 4711;
        EXPECT(others[i], syscall(UNUSED_NUMBER));
        EXPECT(4711, errno);
    }
    EXPECT(getpid(), syscall(SYS_getpid));
    errno = 0;
    EXPECT(-1, syscall(SYS_close, -1));
    EXPECT(EBADF, errno);
    return 0;
}
