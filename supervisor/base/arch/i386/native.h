/* SPDX-License-Identifier: MIT */
/* i386's part of base/arch/native.h. */
#ifndef CLONE2_NATIVE_I386_H
#define CLONE2_NATIVE_I386_H

#define NATIVE_AUDIT_ARCH AUDIT_ARCH_I386 /* linux/audit.h */

/* raw_call(nr, up to six arguments): a system call with integers and pointers. Returns the kernel's
 * own result: -4095..-1 is an errno; leaves the C library's errno alone. Changes only eax. Not for
 * calls whose child has another stack. */
#define raw_call(...)                                                                              \
    RAW_CALL_NAME(__VA_ARGS__, RAW_CALL_SIX, RAW_CALL_FIVE, RAW_CALL_FIVE, RAW_CALL_FIVE,          \
                  RAW_CALL_FIVE, RAW_CALL_FIVE, RAW_CALL_FIVE, 0)                                  \
    (__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define RAW_CALL_NAME(nr, a, b, c, d, e, f, name, ...) name
#define RAW_CALL_SIX(nr, a, b, c, d, e, f, ...)                                                    \
    raw_call_of_six((long)(nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define RAW_CALL_FIVE(nr, a, b, c, d, e, ...)                                                      \
    raw_call_of_five((long)(nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))

/* Keeps nothing on the stack, because a child may share and overwrite it. */
static inline long raw_call_of_five(long nr, long a, long b, long c, long d, long e)
{
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
                     : "memory");
    return result;
}

/* The sixth register may be the compiler's frame pointer. */
static inline long raw_call_of_six(long nr, long a, long b, long c, long d, long e, long f)
{
    long result;
    __asm__ volatile("pushl %[sixth]\n\t"
                     "xchg %%ebp, (%%esp)\n\t"
                     "int $0x80\n\t"
                     "popl %%ebp"
                     : "=a"(result)
                     : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e), [sixth] "m"(f)
                     : "memory");
    return result;
}

#endif
