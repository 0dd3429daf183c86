// SPDX-License-Identifier: MIT
// The decision about a call: pure, without system calls.
#ifndef SHIM_PLAN_H
#define SHIM_PLAN_H

#include "call.h"

// What is wrong whatever the namespaces are: an errno, or 0.
int shim_plan_refuse(const struct shim_request *request);
// Whether shim_plan_make() can't decide without facts.
bool shim_plan_needs_facts(const struct shim_request *request);
// An errno, or 0 and the system call in *call. facts may be NULL where they aren't needed.
int shim_plan_make(const struct shim_request *request, const struct shim_facts *facts,
                   struct shim_kernel_call *call);
// The call's errno where the kernel said `error`: the kernel decides in another order than clone2.
int shim_plan_judge(const struct shim_facts *facts, int error);

#endif
