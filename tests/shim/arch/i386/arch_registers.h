// SPDX-License-Identifier: MIT
#ifndef SHIM_TEST_ARCH_REGISTERS_H
#define SHIM_TEST_ARCH_REGISTERS_H

#include <ucontext.h>

// The six arguments of the system call for which a SIGSYS handler was called.
static inline void arch_read_arguments(void *context, unsigned long argument[6])
{
    static const int order[6] = {REG_EBX, REG_ECX, REG_EDX, REG_ESI, REG_EDI, REG_EBP};
    const greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    for (int i = 0; i < 6; i++) {
        argument[i] = (unsigned long)r[order[i]];
    }
}

static inline void arch_set_result(void *context, long result)
{
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EAX] = result;
}

// The number of a system call with additional bits that the kernel ignores.
static inline long arch_garbage_above(long number)
{
    return number;
}

#endif
