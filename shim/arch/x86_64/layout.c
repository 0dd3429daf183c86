// SPDX-License-Identifier: MIT
#include "layout.h"

#include "translate.h"

#include <stddef.h>
#include <sys/syscall.h>

#define SAME(what, value) _Static_assert((what) == (value), #value)

SAME(offsetof(struct shim_call, kernel.nr), CALL_NR);
SAME(offsetof(struct shim_call, kernel.arg), CALL_ARG0);
SAME(offsetof(struct shim_call, kernel.arg[4]), CALL_ARG4);
SAME(offsetof(struct shim_call, kernel.child_sp), CALL_CHILD_SP);
SAME(offsetof(struct shim_call, kernel.clone3), CALL_CLONE3);
_Static_assert(sizeof(struct shim_call) <= FRAME_SIZE, "FRAME_SIZE");
SAME(SHIM_MAKE_CALL, SHIM_MAKE_CALL_VALUE);
SAME(SYS_exit, NR_EXIT);
