// SPDX-License-Identifier: MIT
#ifndef SHIM_TEST_ARCH_REGISTERS_H
#define SHIM_TEST_ARCH_REGISTERS_H

#include <ucontext.h>

// The six arguments of the system call for which a SIGSYS handler was called.
static inline void arch_read_arguments(void *context, unsigned long argument[6])
{
    static const int order[6] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
    const greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    for (int i = 0; i < 6; i++) {
        argument[i] = (unsigned long)r[order[i]];
    }
}

static inline void arch_set_result(void *context, long result)
{
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = result;
}

// The number of a system call with additional bits that the kernel ignores.
static inline long arch_garbage_above(long number)
{
    return number | 0x5a5a5a5a00000000L;
}

#endif
