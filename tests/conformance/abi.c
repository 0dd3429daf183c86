// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "abi.h"

#include <sched.h>
#include <string.h>

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif

extern const struct check clone2_checks[], eclone_checks[], clone_with_pids_checks[];

const struct abi *const abis[] = {&abi_clone2, &abi_eclone, &abi_clone_with_pids, NULL};

static void put32(unsigned char *at, uint64_t value)
{
    const uint32_t low = (uint32_t)value;
    memcpy(at, &low, sizeof low);
}

static void put64(unsigned char *at, uint64_t value)
{
    memcpy(at, &value, sizeof value);
}

static void set(struct arch_syscall *s, int i, uint64_t value)
{
    s->arg[i] = value;
    s->given |= 1U << i;
}

// clone2(struct clone_struct *args, pid_t *pids)

static void clone2_lay_out(const struct form *f, unsigned char *at)
{
    put64(at, f->wanted->flags);
    put64(at + 8, f->wanted->child_stack);
    put32(at + 16, f->wanted->nr_pids);
    put32(at + 20, f->wanted->parent_tid);
    put32(at + 24, f->wanted->child_tid);
    put32(at + 28, f->wanted->reserved1);
    put64(at + 32, f->wanted->reserved2);
}

static void clone2_registers(const struct form *f, struct arch_syscall *s)
{
    set(s, 0, f->args);
    set(s, 1, f->pids);
    s->arg[ARCH_TLS_ARG] = f->tls;
}

static void upper_flag(struct arguments *a)
{
    a->flags |= 1ULL << (34 + random_below(30));
}

const struct abi abi_clone2 = {
    .name = "clone2",
    .what = "the proposal's",
    .nr = ARCH_DEFAULT_NR,
    .size = 40,
    .spare = 32,
    .shared_nr = ARCH_RECVMMSG_NR,
    .lowest_args = 0x08000000,
    .end_args = 0xffffe000,
    .upper_flags = 1,
    .clear_sighand = 1,
    .pids_with_tls = 1,
    .own_checks = clone2_checks,
    .lay_out = clone2_lay_out,
    .registers = clone2_registers,
    .spoil = upper_flag,
};

// eclone(u32 flags_low, struct clone_args *args, int args_size, pid_t *pids)

static void eclone_lay_out(const struct form *f, unsigned char *at)
{
    put64(at, f->wanted->flags >> 32);
    put64(at + 8, f->wanted->child_stack);
    put64(at + 16, f->wanted->stack_size);
    put64(at + 24, f->wanted->parent_tid);
    put64(at + 32, f->wanted->child_tid);
    put32(at + 40, f->wanted->nr_pids);
    put32(at + 44, f->wanted->reserved0);
}

static void eclone_registers(const struct form *f, struct arch_syscall *s)
{
    // The upper halves of 32-bit arguments are not the call's.
    set(s, 0, (uint32_t)f->wanted->flags | random_u64() << 32);
    set(s, 1, f->args);
    set(s, 2, f->args_size | random_u64() << 32);
    if (ARCH_TLS_ARG == 3 && f->wanted->flags & CLONE_SETTLS && f->tls) {
        set(s, 3, f->tls);
        return;
    }
    set(s, 3, f->pids);
    if (ARCH_TLS_ARG != 3) {
        s->arg[ARCH_TLS_ARG] = f->tls;
    }
}

static void eclone_spoil(struct arguments *a)
{
    switch (random_below(4)) {
    case 0:
        a->flags |= CLONE_CLEAR_SIGHAND;
        break;
    case 1:
        a->reserved0 = 1U << random_below(32);
        break;
    case 2:
        a->stack_size = 1ULL << random_below(64);
        break;
    default:
        upper_flag(a);
    }
}

static const char *const eclone_left_out[][2] = {
    {"clear-sighand", "no flag of the upper half is known to it"},
    {NULL, NULL},
};

const struct abi abi_eclone = {
    .name = "eclone",
    .what = "the series' last",
    .nr = ARCH_ECLONE_NR,
    .size = 48,
    .spare = 32,
    .shared_nr = ARCH_ECLONE_NR, // fanotify_init's
    .lowest_args = 0x200000,
    .end_args = UINT64_MAX,
    .upper_flags = 1,
    .pids_with_tls = ARCH_TLS_ARG != 3,
    .left_out = eclone_left_out,
    .own_checks = eclone_checks,
    .lay_out = eclone_lay_out,
    .registers = eclone_registers,
    .spoil = eclone_spoil,
};

// clone_with_pids(flags, child_stack, parent_tid, tls, child_tid, struct target_pid_set *)

static void clone_with_pids_lay_out(const struct form *f, unsigned char *at)
{
    put32(at, f->wanted->nr_pids);
    put32(at + 4, f->pids);
}

static void clone_with_pids_registers(const struct form *f, struct arch_syscall *s)
{
    set(s, 0, f->wanted->flags);
    set(s, 1, f->wanted->child_stack);
    s->arg[2] = f->wanted->parent_tid;
    s->arg[3] = f->tls;
    s->arg[4] = f->wanted->child_tid;
    set(s, 5, f->args);
}

static void negative_number(struct arguments *a)
{
    a->nr_pids = 1U << 31 | (random_below(2) ? random_below(1000) : ~random_below(1000));
}

static const char *const clone_with_pids_left_out[][2] = {
    {"upper-flags", "its flags have 32 bits"},
    {"clear-sighand", "its flags have 32 bits"},
    {NULL, NULL},
};

const struct abi abi_clone_with_pids = {
    .name = "clone_with_pids",
    .what = "the one before the proposal's (i386)",
    .nr = ARCH_CLONE_WITH_PIDS_NR,
    .size = 8,
    .shared_nr = -1,
    .args_may_be_null = 1,
    .pids_with_tls = 1,
    .left_out = clone_with_pids_left_out,
    .own_checks = clone_with_pids_checks,
    .lay_out = clone_with_pids_lay_out,
    .registers = clone_with_pids_registers,
    .spoil = negative_number,
};

const struct abi *abi_find(const char *name)
{
    for (size_t i = 0; abis[i]; i++) {
        if (strcmp(abis[i]->name, name) == 0 && abis[i]->nr >= 0) {
            return abis[i];
        }
    }
    return NULL;
}

const char *abi_leaves_out(const char *check)
{
    const char *const(*entry)[2] = options.abi->left_out;
    for (; entry && (*entry)[0]; entry++) {
        if (strcmp((*entry)[0], check) == 0) {
            return (*entry)[1];
        }
    }
    return arch_leaves_out(options.by_function, check);
}

int abi_tells_apart(uint64_t args)
{
    return options.nr != options.abi->shared_nr ||
           (args >= options.abi->lowest_args && args < options.abi->end_args);
}
