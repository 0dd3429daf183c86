// SPDX-License-Identifier: MIT
// What the launcher must know of x86-64.
#ifndef SHIM_SYSTEM_CALL_H
#define SHIM_SYSTEM_CALL_H

#include <linux/audit.h>

#define SHIM_AUDIT_ARCH AUDIT_ARCH_X86_64

// The result as the kernel gives it: -4095..-1 is an errno.
static inline long system_call(long nr, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#endif
