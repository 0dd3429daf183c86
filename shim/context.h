// SPDX-License-Identifier: MIT
// A program's registers in a signal handler, and how to enter the trampoline. Each architecture has
// its own context.c.
#ifndef SHIM_CONTEXT_H
#define SHIM_CONTEXT_H

#include "slots.h"

#include <signal.h>
#include <stdint.h>

#define SHIM_SA_RESTORER 0x04000000 // the kernel requires one on x86-64

// The struct of rt_sigaction().
struct shim_kernel_sigaction {
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

extern struct shim_kernel_sigaction shim_sigsys_action;
void shim_restore(void); // rt_sigreturn

// Called once, before any call. Returns 0 or -errno.
long shim_context_start(void);
// Saves and restores the argument registers, in the kernel ABI's order, and the resume address.
void shim_context_save(void *context, struct shim_slot *slot);
void shim_context_restore(void *context, const struct shim_slot *slot);
void shim_context_set_result(void *context, long result);
const char *shim_context_stack_pointer(const void *context);
// Decides what the child releases: its half of a slot in shared memory, or all of its own copy.
// Returns false if the trampoline can't return to the program.
bool shim_context_share(struct shim_slot *slot, bool memory);
// Makes slot->call.kernel run when the handler returns.
void shim_context_enter_trampoline(void *context, struct shim_slot *slot);
// The slot of the call that the trampoline reports as failed, or NULL.
struct shim_slot *shim_context_failed_slot(void *context);

#endif
