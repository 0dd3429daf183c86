// SPDX-License-Identifier: MIT
// Trap mode: where a call's data is while the trampoline runs, which may use no stack. Parent and
// child both read the slot; with CLONE_VM it is the same memory, and each gives up its half.
#ifndef SHIM_SLOTS_H
#define SHIM_SLOTS_H

#include "call.h"

// As many calls as can be under way in one address space. A fork takes along those of the other
// threads, which nobody will finish there: room for many of these, too.
enum { SHIM_SLOTS = 1024 };

struct shim_slot {
    struct shim_call call;
    uint64_t saved[6];     // the argument registers, as the program left them
    uint64_t resume;       // behind the program's own system-call instruction
    int64_t result;        // of a call that failed
    uint64_t child_clears; // address of the owner byte that the child gives up
    uint64_t sequence;     // when it was taken
    int32_t tid;           // by whom
    uint32_t reinstall;    // the child has lost the handler (CLONE_CLEAR_SIGHAND)
    union {
        struct {
            uint8_t parent, child;
        } owned;
        uint16_t owners; // 0: free
    };
};

// NULL: all are in use. The caller owns both halves.
struct shim_slot *shim_slot_take(void);
void shim_slot_give_back(struct shim_slot *slot);

#endif
