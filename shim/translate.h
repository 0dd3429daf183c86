// SPDX-License-Identifier: MIT
// Turns a program's call into a kernel's: reads the request, decides, and judges a failure. Called
// by the assembly around the system call itself.
#ifndef SHIM_TRANSLATE_H
#define SHIM_TRANSLATE_H

#include "call.h"

// The number treated as clone2: __NR_clone2, or CLONE2_NR's value.
extern uint32_t shim_nr;

enum { SHIM_MAKE_CALL = 1 };

// SHIM_MAKE_CALL: make the system call call->kernel. Otherwise the result, -errno.
long shim_prepare(struct shim_call *call, uint64_t args, uint64_t pids, uint64_t tls);
// The same for clone2() (stack_top 0) and clone2_call(), whose prototypes have no tls.
long shim_prepare_from_c(struct shim_call *call, uint64_t args, uint64_t pids, uint64_t stack_top);
// After call->kernel failed with `error` (-errno): SHIM_MAKE_CALL again, or the result.
long shim_judge(struct shim_call *call, long error);

#endif
