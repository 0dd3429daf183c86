// SPDX-License-Identifier: MIT
// What the caller's pid namespaces are like, found out by asking clone3 for pids that it can't
// give. Needs no /proc and no descriptor; no child is ever created.
#ifndef SHIM_PROBE_H
#define SHIM_PROBE_H

#include "call.h"

// Facts about the nr_pids (1 to PLAN_MAX_PIDS) youngest namespaces.
struct plan_facts shim_probe_facts(uint32_t nr_pids);

enum shim_picked {
    SHIM_PICKED, // all pids that are ours to choose were free a moment ago
    SHIM_BUSY,   // one that the program asked for isn't, or there is no free one
    SHIM_LOST,   // somebody took our choice meanwhile
};

// Chooses call->set_tid[i] for each bit of call->to_pick.
enum shim_picked shim_probe_pick(struct plan_call *call);
// After EEXIST: whether all pids but the oldest namespace's (which is never ours to choose) can
// still be had.
bool shim_probe_still_free(const struct plan_call *call);

#endif
