// SPDX-License-Identifier: MIT
// The suite's architecture-specific part: i386.
#ifndef CONFORMANCE_ARCH_H
#define CONFORMANCE_ARCH_H

#include "arch/functions.h"

#include <stddef.h>
#include <stdint.h>

#define ARCH_DEFAULT_NR 387
#define ARCH_ECLONE_NR 338
#define ARCH_RECVMMSG_NR 337
#define ARCH_CLONE_WITH_PIDS_NR 337
#define ARCH_RED_ZONE 0

struct arch_state {
    uint32_t gpr[8]; // eax ebx ecx edx esi edi ebp esp
    uint32_t eflags;
    uint32_t segment[4]; // ds es fs gs
    uint32_t tls[4];     // struct user_desc of the segment in gs
    uint32_t scratch;    // stack to use once everything is stored
    uint32_t padding[14];
    unsigned char fx[512];
    unsigned char ymm[8][32];
} __attribute__((aligned(64)));

struct arch_call {
    struct arch_state in;
    struct arch_state out[2]; // [0]: parent, [1]: child
    uint32_t saved[6];
    int (*child)(struct arch_call *c); // runs in the child and returns the exit status
    uint32_t function;                 // the address of the function called instead of int $0x80
    uint32_t use_avx;
    uint32_t by_function;
    // The call's own struct. Here, because a form of the call may need each register: the one with
    // the struct's address then leads back to c.
    unsigned char args[ARGS_MAX];
};

// How to make the call: int $0x80, libc's syscall(), or __kernel_vsyscall(), which uses the
// processor's sysenter or syscall.
enum { ARCH_BY_INSTRUCTION, ARCH_BY_LIBC, ARCH_BY_VDSO };
#define ARCH_IS_FUNCTION(by) ((by) != ARCH_BY_INSTRUCTION)
#define ARCH_MAP_FLAGS(by) 0

static inline long arch_result(const struct arch_call *c, int who)
{
    return (long)c->out[who].gpr[0];
}

static inline uint64_t arch_stored_thread_pointer(const struct arch_call *c, int who)
{
    return c->out[who].tls[1];
}

// The part of child_stack that the kernel uses: as wide as clone(2)'s register.
static inline uint64_t arch_child_stack(uint64_t child_stack, int by)
{
    (void)by;
    return (uint32_t)child_stack;
}

// The first address that no program has.
#define ARCH_USER_END 0xffffe000ULL
// The argument registers in which clone(2) has them.
#define ARCH_TLS_ARG 3
#define ARCH_CLONE_CHILD_TID_ARG 4

static inline long arch_raw(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                            uint64_t f)
{
    uint32_t sixth = (uint32_t)f;
    long result;
    __asm__ volatile("pushl %[sixth]\n\t"
                     "xchg %%ebp, (%%esp)\n\t"
                     "int $0x80\n\t"
                     "popl %%ebp"
                     : "=a"(result)
                     : "a"(nr), "b"((uint32_t)a), "c"((uint32_t)b), "d"((uint32_t)c),
                       "S"((uint32_t)d), "D"((uint32_t)e), [sixth] "m"(sixth)
                     : "memory", "cc");
    return result;
}

static inline long arch_issue(const struct arch_syscall *s)
{
    const uint64_t *a = s->arg;
    return arch_raw(s->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#endif
