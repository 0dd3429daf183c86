// SPDX-License-Identifier: MIT
// What the forms of the call differ in. The checks speak of one call (struct arguments); its form
// says where the parts of it are.
#ifndef CONFORMANCE_ABI_H
#define CONFORMANCE_ABI_H

#include "arch.h"
#include "harness.h"

#include <stddef.h>
#include <stdint.h>

// What a call asks for. A form without one of these leaves it out.
struct arguments {
    uint64_t flags;
    uint64_t child_stack;
    uint32_t nr_pids;
    uint64_t parent_tid; // clone2: the lower half
    uint64_t child_tid;
    uint32_t reserved1; // clone2: ignored
    uint64_t reserved2;
    uint64_t stack_size; // eclone: must be 0
    uint32_t reserved0;
};

// A call before it is put into registers and memory: the values of its pointers may be anything.
struct form {
    const struct arguments *wanted;
    uint64_t args;      // the struct's address
    uint64_t pids;      // the pids' address
    uint64_t tls;       // 0: none
    uint32_t args_size; // eclone
};

struct abi {
    const char *name;
    const char *what; // one line for the usage
    long nr;          // where no other number is given; -1: not on this architecture
    size_t size;      // of its struct, in bytes; at most ARGS_MAX
    size_t spare;     // offset of four bytes of it that mean nothing without flags; 0: none
    // A number that another system call has today, -1: none; and the addresses of a struct that can
    // be told from one of that call's arguments.
    long shared_nr;
    uint64_t lowest_args;
    uint64_t end_args;
    int upper_flags;                  // flags has 64 bits
    int clear_sighand;                // and one of the upper half may be set
    int args_may_be_null;             // a plain clone(2)
    int pids_with_tls;                // CLONE_SETTLS and pids can be given at once
    const char *const (*left_out)[2]; // checks that don't apply, and why; ends with NULL
    const struct check *own_checks;
    void (*lay_out)(const struct form *f, unsigned char *at);
    void (*registers)(const struct form *f, struct arch_syscall *s);
    // Makes one of the requests wrong in a way that only this form can: EINVAL, decided before
    // nr_pids.
    void (*spoil)(struct arguments *a);
};

extern const struct abi abi_clone2, abi_eclone, abi_clone_with_pids;
// Ends with NULL.
extern const struct abi *const abis[];

// NULL: no such form on this architecture.
const struct abi *abi_find(const char *name);
// Why a check doesn't apply to the form under test; NULL: it does.
const char *abi_leaves_out(const char *check);
// Whether a struct at this address can be told from an argument of the call that shares our number.
int abi_tells_apart(uint64_t args);

#endif
