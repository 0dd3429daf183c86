// SPDX-License-Identifier: MIT
// Reading what the program points to: EFAULT instead of a signal where it can't be read.
#ifndef SHIM_MEMORY_H
#define SHIM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Whether all of it could be read.
bool shim_read(uint64_t address, void *to, size_t size);

#endif
