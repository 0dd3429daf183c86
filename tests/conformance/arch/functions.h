// SPDX-License-Identifier: MIT
// The functions and tables of the architecture-specific part, the same for each. Included by
// arch.h, which has the structs.
#ifndef CONFORMANCE_ARCH_FUNCTIONS_H
#define CONFORMANCE_ARCH_FUNCTIONS_H

#include <stddef.h>
#include <stdint.h>

struct arch_call;

// Room for the struct of a call, whatever its form.
#define ARGS_MAX 64

// The six arguments of a system call, whatever its number.
struct arch_syscall {
    long nr;
    uint64_t arg[6];
    unsigned given; // bit i: arg[i] is loaded even if it is 0, in place of garbage
    uint64_t sp;    // the caller's stack pointer during the call: any value
    // ARCH_BY_*. If it is a function, sp must be a stack with room below.
    int by_function;
};

// ARCH_BY_* for a value of CLONE2_VIA; -1: no such function here.
int arch_by_function(const char *name);
// Why a check doesn't apply to calls made in this way; NULL: it does.
const char *arch_leaves_out(int by, const char *check);
// Fills in->in with patterns derived from seed, and with the call's own registers.
void arch_prepare(struct arch_call *c, const struct arch_syscall *s, uint64_t seed);
// For by_function, whose child returns on its new stack: returns the value for child_stack, if the
// words at `at` may be used. *at becomes the child's later stack pointer.
uint64_t arch_prepare_function_stack(struct arch_call *c, uint64_t *at);
uint64_t arch_sp_after_return(const struct arch_call *c, uint64_t child_stack);
// Makes the call. Returns the result in the parent (-errno on failure).
long arch_perform(struct arch_call *c);
// Makes the call as eclone's library does: its child, on a stack of its own, pops a function and
// its argument, calls it and exits its task with the value.
long arch_perform_popping(const struct arch_syscall *s);
// Compares the registers after the call; who is 0 for the parent, 1 for the child. Returns 0, or -1
// with the reason in why. The stack pointer must be sp, the thread pointer tls (0: the caller's).
int arch_compare(const struct arch_call *c, int who, uint64_t sp, uint64_t tls, char *why,
                 size_t size);
// Addresses that are never readable.
extern const uintptr_t arch_bad_addresses[];
extern const size_t arch_bad_addresses_count;
// The CLONE_SETTLS argument that makes `at` the thread pointer; its first 64 bytes are used.
uint64_t arch_tls_argument(void *at);
// The thread pointer that results from such an argument.
uint64_t arch_tls_base(uint64_t argument);
// Arguments of CLONE_SETTLS that clone(2) refuses.
extern const uintptr_t arch_bad_tls[];
extern const size_t arch_bad_tls_count;

#endif
