/* SPDX-License-Identifier: MIT */
/* Seccomp filters without libseccomp and without a C library: for code between fork() and exec(),
 * in signal handlers, or in clone2-shim. C and C++. Async-signal-safe. */
#ifndef CLONE2_SECCOMP_FILTER_H
#define CLONE2_SECCOMP_FILTER_H

#include "abi/shared_numbers.h"
#include "base/arch/native.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV /* 5.19 */
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* Each appends one instruction to a program that has room for it. */
static inline void filter_add(struct sock_fprog *program, unsigned code, uint32_t k, unsigned yes,
                              unsigned no)
{
    struct sock_filter *const step = &program->filter[program->len++];
    step->code = (uint16_t)code;
    step->jt = (uint8_t)yes;
    step->jf = (uint8_t)no;
    step->k = k;
}

/* Loads 32 bits of struct seccomp_data; of a 64-bit member, the lower or upper half
 * (little-endian). */
#define filter_load(program, member) filter_load_at(program, offsetof(struct seccomp_data, member))
#define filter_load_upper(program, member)                                                         \
    filter_load_at(program, offsetof(struct seccomp_data, member) + 4)
static inline void filter_load_at(struct sock_fprog *program, size_t offset)
{
    filter_add(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* Skips `yes` instructions if the loaded value equals this one, else `no`. */
static inline void filter_if_equal(struct sock_fprog *program, uint32_t value, unsigned yes,
                                   unsigned no)
{
    filter_add(program, BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
}

static inline void filter_answer(struct sock_fprog *program, uint32_t action)
{
    filter_add(program, BPF_RET | BPF_K, action, 0, 0);
}

enum { FILTER_NOTIFY_STEPS = 5 };

/* Continues with the next instruction for one system call of an architecture; for all others it
 * skips `rest` instructions. It uses equality tests only, so that the kernel's constant-action
 * bitmap (5.11) handles the others. */
static inline void filter_if_call(struct sock_fprog *program, uint32_t audit_arch, int number,
                                  unsigned rest)
{
    filter_load(program, arch);
    filter_if_equal(program, audit_arch, 0, rest + 2);
    filter_load(program, nr);
    filter_if_equal(program, (uint32_t)number, 0, rest);
}

enum { FILTER_GUARD_STEPS = 5 };

static inline unsigned filter_guard_steps(const struct call_guard *guard)
{
    switch (guard->is) {
    case GUARD_EQUAL:
        return 2;
    case GUARD_ADDRESS:
        return FILTER_GUARD_STEPS;
    default:
        return 4;
    }
}

/* Continues with the next instruction if the guard holds; else it skips `rest` instructions. */
static inline void filter_guard(struct sock_fprog *program, const struct call_guard *guard,
                                unsigned rest)
{
    const size_t argument =
        offsetof(struct seccomp_data, args) + guard->argument * sizeof(uint64_t);
    if (guard->is == GUARD_ADDRESS) {
        filter_load_at(program, argument + 4);
        filter_if_equal(program, 0, 1, 0);
        /* The largest user addresses have 56 bits. */
        filter_add(program, BPF_JMP | BPF_JGE | BPF_K, 1U << 24, rest + 2, 2);
    } else if (guard->is != GUARD_EQUAL) {
        filter_load_at(program, argument + 4);
        filter_if_equal(program, 0, 0, guard->is == GUARD_AT_LEAST ? 2 : rest + 2);
    }
    filter_load_at(program, argument);
    switch (guard->is) {
    case GUARD_AT_LEAST:
        filter_add(program, BPF_JMP | BPF_JGE | BPF_K, guard->value, 0, rest);
        break;
    case GUARD_BELOW:
        filter_add(program, BPF_JMP | BPF_JGE | BPF_K, guard->value, rest, 0);
        break;
    case GUARD_EQUAL:
        filter_if_equal(program, guard->value, 0, rest);
        break;
    case GUARD_ADDRESS:
        filter_add(program, BPF_JMP | BPF_JGE | BPF_K, 1U << 31, rest, 0);
        break;
    }
}

/* Sends one system call of an architecture to the listener, if its guards hold; skips its
 * instructions for all others. At most FILTER_NOTIFY_STEPS, and FILTER_GUARD_STEPS for each guard.
 * The guards come last: only calls by this number get to them. */
static inline void filter_notify(struct sock_fprog *program, uint32_t audit_arch, int number,
                                 const struct call_guard *guards, unsigned count)
{
    unsigned left = 1;
    for (unsigned i = 0; i < count; i++) {
        left += filter_guard_steps(&guards[i]);
    }
    filter_if_call(program, audit_arch, number, left);
    for (unsigned i = 0; i < count; i++) {
        left -= filter_guard_steps(&guards[i]);
        filter_guard(program, &guards[i], left);
    }
    filter_answer(program, SECCOMP_RET_USER_NOTIF);
}

struct filter_options {
    unsigned long flags;    /* SECCOMP_FILTER_FLAG_*; on return, those that were used */
    unsigned long optional; /* the subset that an older kernel may lack */
    int may_set_no_new_privs;
    int no_new_privs; /* had to be set: the caller lacks CAP_SYS_ADMIN */
};

/* Installs the filter on the calling thread; its descendants inherit it. Returns seccomp(2)'s
 * result, or -errno. Sets no-new-privs only if the kernel requires it, so that set-user-ID programs
 * keep working for root. */
static inline long filter_install(const struct sock_fprog *program, struct filter_options *how)
{
    how->no_new_privs = 0;
    for (;;) {
        const long result = raw_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, how->flags, program);
        if (result == -EACCES && how->may_set_no_new_privs && !how->no_new_privs &&
            raw_call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1) == 0) {
            how->no_new_privs = 1;
        } else if (result == -EINVAL && (how->flags & how->optional) != 0) {
            how->flags &= ~how->optional;
        } else {
            return result;
        }
    }
}

#endif
