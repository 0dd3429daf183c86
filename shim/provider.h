// SPDX-License-Identifier: MIT
// Who else answers clone2.
#ifndef SHIM_PROVIDER_H
#define SHIM_PROVIDER_H

#include <stdbool.h>

// Whether the kernel has the call itself, under its own number. Asked once in a process.
bool shim_kernel_has_clone2(void);

#endif
