// SPDX-License-Identifier: MIT
// What the shim needs to know of the architecture: x86-64.
#ifndef SHIM_ARCH_H
#define SHIM_ARCH_H

#include <stdint.h>

// The end of user addresses with 4-level page tables.
#define SHIM_USER_END ((1ULL << 47) - 4096)

// clone(2)'s arguments in the order of the kernel's ABI.
static inline void shim_arch_clone_args(uint64_t arg[5], uint64_t flags, uint64_t stack,
                                        uint64_t parent_tid, uint64_t child_tid, uint64_t tls)
{
    arg[0] = flags;
    arg[1] = stack;
    arg[2] = parent_tid;
    arg[3] = child_tid;
    arg[4] = tls;
}

// A system call without errno: -errno is the result. Never with a number that creates tasks.
static inline long shim_syscall(uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                                uint64_t e, uint64_t f)
{
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    register uint64_t r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory", "cc");
    return result;
}

#endif
