// SPDX-License-Identifier: MIT
//
// Decides about a clone2 call: an errno, or the kernel's system call that carries it out. Shared by
// the supervisor and libclone2.
//
// Pure and freestanding: no system calls, no libc functions, no allocation, no state. It also runs
// inside programs, between them and the kernel, perhaps in a signal handler. All functions are
// thread-safe.
#ifndef CLONE2_PLAN_CORE_H
#define CLONE2_PLAN_CORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    PLAN_MAX_PIDS = 33,    // pid namespaces nest to level 32 (MAX_PID_NS_LEVEL), from level 0
    PLAN_MAX_SET_TID = 32, // clone3's limit
};

// One call, whatever its ABI.
struct plan_request {
    uint64_t flags;            // low 8 bits: exit signal
    uint64_t child_stack;      // the child's stack pointer; 0: the parent's
    uint64_t stack_size;       // bytes; not 0: child_stack is the lowest address, as in clone3
    uint64_t pidfd;            // address for CLONE_PIDFD
    uint64_t parent_tid;       // address for CLONE_PARENT_SETTID
    uint64_t child_tid;        // address for CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID
    uint64_t tls;              // value for CLONE_SETTLS
    uint32_t nr_pids;          // as given by the caller, unchecked
    bool pids_readable;        // false: pids holds nothing
    pid_t pids[PLAN_MAX_PIDS]; // the first nr_pids, oldest namespace first
};

// Facts about the caller that only a look at it shows.
struct plan_facts {
    uint32_t level;  // of the pid namespace in which the child will be born; the initial one has 0
    bool privileged; // may choose pids in each namespace asked for
};

enum plan_reason {
    PLAN_NO_REASON, // not refused
    PLAN_UNKNOWN_FLAGS,
    PLAN_INTO_CGROUP,    // needs a field that clone_struct lacks
    PLAN_BEYOND_NESTING, // more pids than pid namespaces can nest
    PLAN_BEYOND_LEVEL,   // more pids than nested pid namespaces
    PLAN_PIDS_UNREADABLE,
    PLAN_UNPRIVILEGED,
    PLAN_DETACHED_PIDFD,
    PLAN_BEYOND_SET_TID, // more pids than clone3 accepts
    PLAN_PID_IN_USE,
    PLAN_KERNEL, // the kernel's own errno
};

struct plan_refusal {
    int err; // errno value; 0: not refused
    enum plan_reason reason;
};

// The kernel's call that does what was asked for.
struct plan_call {
    // clone3's arguments: struct clone_args, as of CLONE_ARGS_SIZE_VER1.
    uint64_t flags;
    uint64_t pidfd;
    uint64_t child_tid;
    uint64_t parent_tid;
    uint64_t exit_signal;
    uint64_t stack;      // base
    uint64_t stack_size; // bytes
    uint64_t tls;
    uint64_t set_tid_address; // 0: filled in by the maker of the call
    uint64_t set_tid_size;
    pid_t set_tid[PLAN_MAX_SET_TID]; // the first set_tid_size, innermost namespace first
    // If not 0: a child's stack pointer that clone3 can't express; the child loads it itself.
    uint64_t child_sp;
    // If bit i is set, set_tid[i] is 0 and must be chosen before the call. It may be chosen again
    // if it turns out to be in use.
    uint64_t to_pick;
    // A plain clone(2): flags holds its low 32 bits including the exit signal, child_sp any stack
    // pointer, and fields that only clone3 has are 0.
    bool plain;
};

// Whether clone2_plan() needs facts to decide.
bool clone2_plan_needs_facts(const struct plan_request *request);

// Decides about the call. If it is not refused, *call is what to do. facts may be NULL if not
// needed.
struct plan_refusal clone2_plan(const struct plan_request *request, const struct plan_facts *facts,
                                uint64_t user_end, struct plan_call *call);

// The call's errno after the kernel failed with err. The kernel checks in another order, so what
// comes first in clone2's is checked again.
struct plan_refusal clone2_plan_judge(uint32_t nr_pids, const struct plan_facts *facts, int err);

// Number of leading set_tid entries that the caller did not ask for.
uint32_t clone2_plan_extra_entries(const struct plan_call *call);

#ifdef __cplusplus
}
#endif

#endif
