// SPDX-License-Identifier: MIT
// Finds out whether the kernel answers clone2.
#ifndef SHIM_PROVIDER_H
#define SHIM_PROVIDER_H

#include <stdbool.h>

// Whether the kernel has the call under its own number. Probed once per process.
bool shim_kernel_has_clone2(void);

#endif
