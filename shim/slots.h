// SPDX-License-Identifier: MIT
// Trap mode: holds a call's data while the trampoline runs, which can't use a stack. Parent and
// child both read the slot. With CLONE_VM they share it, and each frees its half.
#ifndef SHIM_SLOTS_H
#define SHIM_SLOTS_H

#include "call.h"
#include "hold.h"

// The number of calls in progress in one address space. A fork child also inherits the slots of
// other threads' calls, which never complete there; so there is room for many of these, too.
enum { SHIM_SLOTS = 1024 };

struct shim_slot {
    struct shim_call call;
    uint64_t saved[6];  // the program's argument registers
    uint64_t resume;    // after the program's system-call instruction
    long result;        // a failed call's result
    uint64_t reinstall; // address of the action that the child has lost (CLONE_CLEAR_SIGHAND)
    struct shim_hold hold;
    unsigned long sequence; // when it was taken
    int32_t tid;            // the thread that took it
};

// NULL: all are in use. The caller owns both halves.
struct shim_slot *shim_slot_take(void);
void shim_slot_give_back(struct shim_slot *slot);

#endif
