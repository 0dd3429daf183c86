/* SPDX-License-Identifier: MIT */
/* C and C++, with or without a C library. */
#ifndef CLONE2_NESTING_LEVEL_H
#define CLONE2_NESTING_LEVEL_H

#include "base/arch/native.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>

enum { NESTING_LEVELS = 32 }; /* with the initial namespace: one more */

/* 0 if clone3 can be called. Otherwise the errno that every call of it gets: every kernel that has
 * clone3 (5.5) answers too small a size with EINVAL, so any other answer is a filter's. */
static inline int clone3_error(void)
{
    const long result = raw_call(SYS_clone3, 0, 0);
    return result == -EINVAL ? 0 : (int)-result;
}

/* The level of the caller's pid namespace; 0 is the initial one. -1: clone3 can't be called. Makes
 * no child: pid 1 is in use in every namespace. */
static inline int nesting_level(void)
{
    pid_t ones[NESTING_LEVELS];
    int level = -1;
    if (clone3_error() != 0) {
        return level;
    }
    for (unsigned entries = 1; entries <= NESTING_LEVELS; entries++) {
        ones[entries - 1] = 1;
        struct clone_args args;
        __builtin_memset(&args, 0, sizeof args);
        args.exit_signal = SIGCHLD;
        args.set_tid = (uint64_t)(uintptr_t)ones;
        args.set_tid_size = entries;
        const long pid = raw_call(SYS_clone3, &args, CLONE_ARGS_SIZE_VER1);
        if (pid == 0) {
            for (;;) { /* can't happen while the innermost pid 1 lives */
                raw_call(SYS_exit_group, 0);
            }
        }
        if (pid != -EEXIST && pid != -EPERM) {
            break;
        }
        level = (int)entries - 1;
    }
    return level;
}

#endif
