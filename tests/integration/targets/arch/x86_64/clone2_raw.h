/* SPDX-License-Identifier: MIT */
#ifndef CLONE2_TEST_RAW_H
#define CLONE2_TEST_RAW_H

/* An unmodified program's clone2: the bare instruction, with no libc between, and never inlined
 * into something that would tell the compiler that the call returns twice. Only rax, rcx and r11
 * are given up: whatever else the provider changed would show as a crash or a wrong result. */
static inline long clone2_raw(long nr, void *args, void *pids)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(args), "S"(pids)
                     : "rcx", "r11", "memory");
    return result;
}

#endif
