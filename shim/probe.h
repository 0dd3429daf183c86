// SPDX-License-Identifier: MIT
// Finds out about the caller's pid namespaces by asking clone3 for pids that it can't give. Needs
// no /proc and no descriptor, and never creates a child.
#ifndef SHIM_PROBE_H
#define SHIM_PROBE_H

#include "call.h"

// Facts about the innermost nr_pids (1 to PLAN_MAX_PIDS) namespaces.
struct plan_facts shim_probe_facts(uint32_t nr_pids);

enum shim_picked {
    SHIM_PICKED, // all the pids we chose were free a moment ago
    SHIM_BUSY,   // a pid that the program asked for is in use, or none is free
    SHIM_LOST,   // a pid we chose has been taken
};

// Chooses call->set_tid[i] for each bit of call->to_pick.
enum shim_picked shim_probe_pick(struct plan_call *call);
// After EEXIST: whether all pids are still free, except the oldest namespace's, which we never
// choose.
bool shim_probe_still_free(const struct plan_call *call);

#endif
