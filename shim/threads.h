// SPDX-License-Identifier: MIT
// Trap mode and the program's threads.
#ifndef SHIM_THREADS_H
#define SHIM_THREADS_H

// From now on each thread that is created gets an alternate stack. Called once.
void shim_threads_start(void);

#endif
