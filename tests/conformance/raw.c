// SPDX-License-Identifier: MIT
//
// Runs in children that may share memory, descriptors and the thread pointer with the parent, or
// have a foreign thread pointer. Rules: raw system calls only, no errno, no allocation, no lock.
#include "arch.h"
#include "call.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>

static uint64_t address(const volatile void *p)
{
    return (uint64_t)(uintptr_t)p;
}

// The line "NSpid:" of /proc/thread-self/status; starts with the outermost namespace that this
// /proc shows.
long raw_nspid(int *values, int max)
{
    static const char path[] = "/proc/thread-self/status";
    char buffer[4096];
    long fd = arch_raw(SYS_openat, (uint64_t)AT_FDCWD, address(path), O_RDONLY, 0, 0, 0);
    if (fd < 0) {
        return 0;
    }
    long n = arch_raw(SYS_read, (uint64_t)fd, address(buffer), sizeof buffer - 1, 0, 0, 0);
    arch_raw(SYS_close, (uint64_t)fd, 0, 0, 0, 0, 0);
    if (n <= 0) {
        return 0;
    }
    buffer[n] = '\0';
    const char *p = strstr(buffer, "\nNSpid:");
    int count = 0;
    if (!p) {
        return 0;
    }
    for (p += 7; *p && *p != '\n' && count < max;) {
        if (*p < '0' || *p > '9') {
            p++;
            continue;
        }
        int value = 0;
        while (*p >= '0' && *p <= '9') {
            value = value * 10 + (*p++ - '0');
        }
        values[count++] = value;
    }
    return count;
}

void raw_report(struct child_report *r)
{
    r->pid = (pid_t)arch_raw(SYS_getpid, 0, 0, 0, 0, 0, 0);
    r->ppid = (pid_t)arch_raw(SYS_getppid, 0, 0, 0, 0, 0, 0);
    r->tid = (pid_t)arch_raw(SYS_gettid, 0, 0, 0, 0, 0, 0);
    r->nspid_count = (int)raw_nspid(r->nspid, LEVELS_MAX + 1);
}

void raw_futex_wait(int *word, int value)
{
    while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value) {
        arch_raw(SYS_futex, address(word), FUTEX_WAIT, (uint64_t)value, 0, 0, 0);
    }
}

void raw_futex_wake(int *word)
{
    arch_raw(SYS_futex, address(word), FUTEX_WAKE, INT_MAX, 0, 0, 0);
}

int child_waits_for_go(struct call *c)
{
    raw_futex_wait(&c->go, 0);
    return 0;
}

int child_is_bad(struct call *c)
{
    (void)c;
    return 99;
}

void call_go(struct call *c)
{
    __atomic_store_n(&c->go, 1, __ATOMIC_SEQ_CST);
    raw_futex_wake(&c->go);
}
