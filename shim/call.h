// SPDX-License-Identifier: MIT
// One call of clone2 on its way: what was asked for, and the system call that does it. Plain values
// that live in the caller's frame (or the signal handler's), never in shared memory.
#ifndef SHIM_CALL_H
#define SHIM_CALL_H

#include "clone2.h"

#include <linux/sched.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    SHIM_MAX_PIDS = 33,    // the kernel nests pid namespaces 32 deep, and there is the initial one
    SHIM_MAX_SET_TID = 32, // what clone3 takes
};

struct shim_request {
    struct clone_struct args;
    uint64_t tls; // for CLONE_SETTLS
    bool pids_readable;
    pid_t pids[SHIM_MAX_PIDS]; // oldest namespace first
};

// What only the kernel can tell about the caller's pid namespaces.
struct shim_facts {
    bool fits;       // nr_pids <= nesting level + 1
    bool privileged; // over each namespace asked for
};

// The system call to make. arg[] is in the kernel's order of arguments and points into this very
// structure: it can't be copied.
struct shim_kernel_call {
    uint64_t nr;
    uint64_t arg[5];
    uint64_t child_sp; // the child's stack pointer, 0: as the parent's
    bool clone3;       // the child has to set its stack pointer itself: clone3 takes ranges
    struct clone_args args;
    pid_t set_tid[SHIM_MAX_SET_TID]; // innermost namespace first
    uint32_t extra;                  // leading entries that the caller did not ask for
    uint64_t to_pick;                // bit i: set_tid[i] is ours to choose
};

struct shim_call {
    struct shim_kernel_call kernel;
    struct shim_request request;
    uint64_t program_nr;      // the number that the program used
    uint64_t program_args[2]; // and its arguments
    bool passed_on;           // to the kernel or a supervisor, whose answer is final
    unsigned attempts;
};

#endif
