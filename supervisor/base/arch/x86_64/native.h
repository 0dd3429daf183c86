/* SPDX-License-Identifier: MIT */
/* x86-64's part of base/arch/native.h. */
#ifndef CLONE2_NATIVE_X86_64_H
#define CLONE2_NATIVE_X86_64_H

#define NATIVE_AUDIT_ARCH AUDIT_ARCH_X86_64 /* linux/audit.h */

/* raw_call(nr, up to six arguments): a system call with integers and pointers. Returns the kernel's
 * own result: -4095..-1 is an errno; leaves the C library's errno alone. Changes only rax, rcx and
 * r11. Not for calls whose child has another stack. */
#define raw_call(...) RAW_CALL_OF(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define RAW_CALL_OF(nr, a, b, c, d, e, f, ...)                                                     \
    raw_call_of_six((long)(nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static inline long raw_call_of_six(long nr, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#endif
