/* SPDX-License-Identifier: MIT */
/* Numbers of other system calls that history, or a draft, gave to one of ours. For C without a C
 * library, and for C++. */
#ifndef CLONE2_SHARED_NUMBERS_H
#define CLONE2_SHARED_NUMBERS_H

#include <linux/audit.h>
#include <stdint.h>

/* What an argument must be for a call to be ours. */
enum guard_kind {
    GUARD_AT_LEAST, /* of all 64 bits */
    GUARD_BELOW,    /* the same */
    GUARD_EQUAL,    /* of the lower 32 bits */
    GUARD_ADDRESS   /* no int below 0, whatever extends it to 64 bits, and no kernel address */
};
struct call_guard {
    unsigned argument; /* index, 0..5 */
    enum guard_kind is;
    uint32_t value;
};

/* Arguments for which these guards hold; the others are left as they are. */
static inline void satisfy_guards(const struct call_guard *guards, unsigned count, uint64_t *args)
{
    for (unsigned i = 0; i < count; i++) {
        if (guards[i].is == GUARD_AT_LEAST || guards[i].is == GUARD_EQUAL) {
            args[guards[i].argument] = guards[i].value;
        }
    }
}

enum { MOST_GUARDS = 2 };
struct shared_number {
    uint32_t audit_arch;
    int number;
    const char *abi;
    unsigned guard_count; /* all must hold; 0: nothing tells the two calls apart */
    struct call_guard guards[MOST_GUARDS];
};

/* recvmmsg's first argument is a descriptor, or -1; clone2's is the address of its struct. No
 * program has a table of so many descriptors, and the lowest address at which programs are linked
 * is not below. The addresses of i386 programs end at IA32_PAGE_OFFSET. */
#define NOT_RECVMMSG_OF_I386                                                                       \
    2,                                                                                             \
    {                                                                                              \
        {0, GUARD_AT_LEAST, 0x08000000},                                                           \
        {                                                                                          \
            0, GUARD_BELOW, 0xffffe000                                                             \
        }                                                                                          \
    }
#define NOT_RECVMMSG_OF_X86_64                                                                     \
    2,                                                                                             \
    {                                                                                              \
        {0, GUARD_AT_LEAST, 0x00400000},                                                           \
        {                                                                                          \
            0, GUARD_ADDRESS, 0                                                                    \
        }                                                                                          \
    }
/* fanotify_init's second argument is a word of open(2)'s flags, all of them below this; eclone's
 * is the address of its struct. eclone's third is the struct's size. */
#define NOT_FANOTIFY_INIT                                                                          \
    2,                                                                                             \
    {                                                                                              \
        {1, GUARD_AT_LEAST, 0x00200000},                                                           \
        {                                                                                          \
            2, GUARD_EQUAL, 48                                                                     \
        }                                                                                          \
    }

static const struct shared_number shared_numbers[] = {
    {AUDIT_ARCH_I386, 337, "clone2", NOT_RECVMMSG_OF_I386},
    {AUDIT_ARCH_I386, 337, "clone_with_pids", 0, {{0, GUARD_EQUAL, 0}}},
    {AUDIT_ARCH_I386, 338, "eclone", NOT_FANOTIFY_INIT},
    {AUDIT_ARCH_X86_64, 299, "clone2", NOT_RECVMMSG_OF_X86_64},
    {AUDIT_ARCH_X86_64, 300, "eclone", NOT_FANOTIFY_INIT},
};

#undef NOT_RECVMMSG_OF_I386
#undef NOT_RECVMMSG_OF_X86_64
#undef NOT_FANOTIFY_INIT

#endif
