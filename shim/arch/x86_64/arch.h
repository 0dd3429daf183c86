// SPDX-License-Identifier: MIT
// What the shim depends on in the architecture: x86-64.
#ifndef SHIM_ARCH_H
#define SHIM_ARCH_H

#include <stdint.h>

// The end of user addresses with 4-level page tables.
#define SHIM_USER_END ((1ULL << 47) - 4096)

// The argument of clone2 that is the value for CLONE_SETTLS, as in clone(2).
#define SHIM_TLS_ARG 4

// The argument that identifies our own calls to the kernel under clone2's number, and its value.
// Our filter lets such calls pass (trap mode), and nothing else reads the argument.
#define SHIM_PASS_ON_ARG 3
#define SHIM_PASS_ON 0x32656e6f6c63ULL

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
