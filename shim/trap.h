// SPDX-License-Identifier: MIT
// CLONE2_SHIM=trap: bare system-call instructions are translated, too.
#ifndef SHIM_TRAP_H
#define SHIM_TRAP_H

#include <stdbool.h>

enum { SHIM_ALTERNATE_STACK_SIZE = 32 << 10 };

// Installs the handler, and the filter where no ancestor's does it. 0, or -errno.
long shim_trap_install(void);

// Unblocks SIGSYS in this thread, for real. Whether it was blocked.
bool shim_trap_unblock(void);

#endif
