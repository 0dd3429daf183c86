/* SPDX-License-Identifier: MIT */
#ifndef CLONE2_TEST_RAW_CHILD_H
#define CLONE2_TEST_RAW_CHILD_H

/* Makes a call that creates a task, which ends at once: it needs no stack, thread pointer or
 * memory. tls: the register in which clone(2) takes it. */
static inline long raw_child(long nr, const void *first, unsigned long second, unsigned long tls)
{
    register unsigned long r8 __asm__("r8") = tls;
    long result;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%edi, %%edi\n\t"
                     "mov $60, %%eax\n\t" /* exit: this thread only */
                     "syscall\n"
                     "1:"
                     : "=a"(result)
                     : "a"(nr), "D"(first), "S"(second), "r"(r8)
                     : "rcx", "r11", "memory", "cc");
    return result;
}

#endif
