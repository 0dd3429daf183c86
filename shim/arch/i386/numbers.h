// SPDX-License-Identifier: MIT
// Which system call numbers are in use: i386 (arch/x86/entry/syscalls/syscall_32.tbl).
#ifndef SHIM_NUMBERS_H
#define SHIM_NUMBERS_H

// 387 to 392 were left free when the numbers from 393 on were assigned. New calls get the next
// numbers; those up to 479 count as taken.
static inline int shim_number_is_taken(long nr)
{
    return nr < 387 || (nr >= 393 && nr < 480);
}

#endif
