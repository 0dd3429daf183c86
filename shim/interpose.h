// SPDX-License-Identifier: MIT
// Trap mode and a program's own signal handling: SIGSYS must reach our handler, unblocked and on
// an alternate stack. Done by standing before the C library's functions; raw system calls pass by.
#ifndef SHIM_INTERPOSE_H
#define SHIM_INTERPOSE_H

#include <signal.h>
#include <stdbool.h>

// From now on SIGSYS is ours. Called once, before the program runs.
void shim_interpose_start(void);

// Hands a SIGSYS that isn't ours to the program's own handler. False: it has none.
bool shim_interpose_deliver(int number, siginfo_t *info, void *context);

#endif
