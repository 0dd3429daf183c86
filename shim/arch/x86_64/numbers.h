// SPDX-License-Identifier: MIT
// Which system call numbers are in use: x86-64 (arch/x86/entry/syscalls/syscall_64.tbl).
#ifndef SHIM_NUMBERS_H
#define SHIM_NUMBERS_H

// The table says that 387..423 will never be assigned, and nothing is added below them. New calls
// get numbers from 424 on; those up to 479 count as taken. 512..547 and bit 30 belong to x32.
static inline int shim_number_is_taken(long nr)
{
    return nr < 337 || (nr >= 424 && nr < 480) || (nr >= 512 && nr < 548) || nr >= 0x40000000;
}

#endif
