// SPDX-License-Identifier: MIT
// Decides about a call. Pure: makes no system calls.
#ifndef SHIM_PLAN_H
#define SHIM_PLAN_H

#include "call.h"

// An errno, or 0 and the system call in *call. facts may be NULL where they aren't needed.
int shim_plan(const struct plan_request *request, const struct plan_facts *facts,
              struct shim_kernel_call *call);

#endif
