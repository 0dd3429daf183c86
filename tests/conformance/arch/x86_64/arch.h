// SPDX-License-Identifier: MIT
// The suite's architecture-specific part: x86-64.
#ifndef CONFORMANCE_ARCH_H
#define CONFORMANCE_ARCH_H

#include "arch/functions.h"

#include <stddef.h>
#include <stdint.h>

#define ARCH_DEFAULT_NR 387
#define ARCH_ECLONE_NR 300
#define ARCH_RECVMMSG_NR (-1) // no form of the call had its number
#define ARCH_CLONE_WITH_PIDS_NR (-1)
#define ARCH_RED_ZONE 128

struct arch_state {
    uint64_t gpr[16]; // rax rbx rcx rdx rsi rdi rbp rsp r8-r15
    uint64_t rflags;
    uint64_t fs_base;
    uint64_t gs_base;
    uint64_t scratch;    // stack to use once everything is stored
    uint64_t padding[4]; // fx must be 16-byte aligned
    unsigned char fx[512];
    unsigned char ymm[16][32];
} __attribute__((aligned(64)));

struct arch_call {
    struct arch_state in;
    struct arch_state out[2]; // [0]: parent, [1]: child
    uint64_t saved[8];
    int (*child)(struct arch_call *c); // runs in the child and returns the exit status
    uint32_t use_avx;
    uint32_t by_function;
    unsigned char args[ARGS_MAX]; // the call's own struct
};

// How to make the call: the bare instruction, libc's syscall(), or int $0x80, which makes it an
// i386 call: it changes rax alone, and what it points to lies below 4 GiB.
enum { ARCH_BY_INSTRUCTION, ARCH_BY_LIBC, ARCH_BY_INT80 };
#define ARCH_IS_FUNCTION(by) ((by) == ARCH_BY_LIBC)
#define ARCH_MAP_FLAGS(by) ((by) == ARCH_BY_INT80 ? MAP_32BIT : 0)

static inline long arch_result(const struct arch_call *c, int who)
{
    return (long)c->out[who].gpr[0];
}

static inline uint64_t arch_stored_thread_pointer(const struct arch_call *c, int who)
{
    return c->out[who].fs_base;
}

// The part of child_stack that the kernel uses: as wide as clone(2)'s register.
static inline uint64_t arch_child_stack(uint64_t child_stack, int by)
{
    return by == ARCH_BY_INT80 ? (uint32_t)child_stack : child_stack;
}

// The first address that no program has (unless it asks mmap for more).
#define ARCH_USER_END (1ULL << 47)
// The argument registers in which clone(2) has them.
#define ARCH_TLS_ARG 4
#define ARCH_CLONE_CHILD_TID_ARG 3

static inline long arch_raw(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                            uint64_t f)
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

// The bare call, by the instruction that it needs.
static inline long arch_issue(const struct arch_syscall *s)
{
    const uint64_t *a = s->arg;
    if (s->by_function != ARCH_BY_INT80) {
        return arch_raw(s->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(s->nr), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4])
                     : "memory", "cc");
    return result;
}

#endif
