// SPDX-License-Identifier: MIT
// Trap mode: the program's threads.
#ifndef SHIM_THREADS_H
#define SHIM_THREADS_H

// From now on each new thread gets an alternate stack. Called once.
void shim_threads_start(void);

#endif
