// SPDX-License-Identifier: MIT
// Decides about a call. Pure: makes no system calls.
#ifndef SHIM_PLAN_H
#define SHIM_PLAN_H

#include "call.h"

// Returns an errno, or 0 with the system call in *call. facts may be NULL if not needed.
int shim_plan(const struct plan_request *request, const struct plan_facts *facts,
              struct shim_kernel_call *call);

#endif
