// SPDX-License-Identifier: MIT
// CLONE2_SHIM=trap: also translates bare system-call instructions.
#ifndef SHIM_TRAP_H
#define SHIM_TRAP_H

#include <stdbool.h>

enum { SHIM_ALTERNATE_STACK_SIZE = 32 << 10 };

// Installs the handler, and the filter unless an ancestor did. 0, or -errno.
long shim_trap_install(void);

// Really unblocks SIGSYS in this thread. Returns whether it was blocked.
bool shim_trap_unblock(void);

#endif
