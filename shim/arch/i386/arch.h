// SPDX-License-Identifier: MIT
// What the shim depends on in the architecture: i386.
#ifndef SHIM_ARCH_H
#define SHIM_ARCH_H

#include <stdint.h>

// The end of user addresses under an x86-64 kernel. An i386 kernel has fewer, and may refuse a
// stack beyond its end.
#define SHIM_USER_END 0xffffe000ULL

// The argument of clone2 with the value for CLONE_SETTLS, as in clone(2).
#define SHIM_TLS_ARG 3

// The argument that identifies our own calls to the kernel under clone2's number, and its value.
// Our filter lets such calls pass (trap mode), and nothing else reads the argument.
#define SHIM_PASS_ON_ARG 4
#define SHIM_PASS_ON 0x6e6f6c63ULL

// clone(2)'s arguments in the order of the kernel's ABI.
static inline void shim_arch_clone_args(uint64_t arg[5], uint64_t flags, uint64_t stack,
                                        uint64_t parent_tid, uint64_t child_tid, uint64_t tls)
{
    arg[0] = flags;
    arg[1] = stack;
    arg[2] = parent_tid;
    arg[3] = tls;
    arg[4] = child_tid;
}

#endif
