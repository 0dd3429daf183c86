/* SPDX-License-Identifier: MIT */
/* The calls by which libclone2 announces that it serves a program's calls itself, for filters. For
 * C without a C library, and for C++. */
#ifndef CLONE2_ANNOUNCING_CALLS_H
#define CLONE2_ANNOUNCING_CALLS_H

#include "abi/shared_numbers.h"
#include "base/announcement.h"

/* prctl(), with that argument alone. It has no form of clone2. */
static const struct shared_number announcing_calls[] = {
    {AUDIT_ARCH_I386, 172, 0, 1, {{0, GUARD_EQUAL, CLONE2_ANNOUNCEMENT}}},
    {AUDIT_ARCH_X86_64, 157, 0, 1, {{0, GUARD_EQUAL, CLONE2_ANNOUNCEMENT}}},
};
enum { ANNOUNCING_CALLS = sizeof announcing_calls / sizeof announcing_calls[0] };

#endif
