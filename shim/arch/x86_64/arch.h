// SPDX-License-Identifier: MIT
// What the shim depends on in the architecture: x86-64.
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

#endif
