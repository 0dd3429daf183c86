// SPDX-License-Identifier: MIT
#include "layout.h"

#include "slots.h"
#include "translate.h"

#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>

#define SAME(what, value) _Static_assert((what) == (value), #value)

SAME(offsetof(struct shim_call, kernel.nr), CALL_NR);
SAME(offsetof(struct shim_call, kernel.arg), CALL_ARG0);
SAME(offsetof(struct shim_call, kernel.arg[4]), CALL_ARG4);
SAME(offsetof(struct shim_call, kernel.child_sp), CALL_CHILD_SP);
SAME(offsetof(struct shim_call, kernel.clone3), CALL_CLONE3);
SAME(offsetof(struct shim_call, program_nr), CALL_PROGRAM_NR);
SAME(offsetof(struct shim_slot, saved), SLOT_SAVED);
SAME(offsetof(struct shim_slot, resume), SLOT_RESUME);
SAME(offsetof(struct shim_slot, result), SLOT_RESULT);
SAME(offsetof(struct shim_slot, hold.child_clears), SLOT_CHILD_CLEARS);
SAME(offsetof(struct shim_slot, reinstall), SLOT_REINSTALL);
SAME(offsetof(struct shim_slot, hold.owned.parent), SLOT_PARENT_OWNS);
_Static_assert(sizeof(struct shim_call) <= FRAME_SIZE, "FRAME_SIZE");
SAME(SHIM_MAKE_CALL, SHIM_MAKE_CALL_VALUE);
SAME(SYS_exit, NR_EXIT);
SAME(SYS_rt_sigaction, NR_RT_SIGACTION);
SAME(SYS_rt_sigreturn, NR_RT_SIGRETURN);
SAME(SIGSYS, NUMBER_OF_SIGSYS);
