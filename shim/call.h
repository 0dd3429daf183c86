// SPDX-License-Identifier: MIT
// A clone2 call in progress: the request, and the system call that carries it out. Plain values in
// the frame of the caller (or of the signal handler), never in shared memory.
#ifndef SHIM_CALL_H
#define SHIM_CALL_H

#include "clone2.h"
#include "plan/core.h"

#include <stdbool.h>
#include <stdint.h>

// The system call to make. arg[] is in the kernel's argument order and points into this struct, so
// the struct can't be copied.
struct shim_kernel_call {
    uint64_t nr;
    uint64_t arg[5];
    uint64_t child_sp; // the child's stack pointer; 0: the parent's
    bool clone3;       // the child must set its stack pointer itself: clone3 takes a range
    struct plan_call plan;
};

struct shim_call {
    struct shim_kernel_call kernel;
    struct clone_struct args; // as the program gave them
    struct plan_request request;
    uint64_t program_nr;      // the number that the program used
    uint64_t program_args[2]; // its arguments
    bool passed_on;           // passed to the kernel or a supervisor; their answer is final
    unsigned attempts;
};

#endif
