// SPDX-License-Identifier: MIT
// Reads memory that the program points to: EFAULT instead of a signal if it can't be read.
#ifndef SHIM_MEMORY_H
#define SHIM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Returns whether all of it could be read.
bool shim_read(uint64_t address, void *to, size_t size);

#endif
