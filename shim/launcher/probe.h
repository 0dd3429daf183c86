// SPDX-License-Identifier: MIT
#ifndef SHIM_PROBE_H
#define SHIM_PROBE_H

#include "abi/shared_numbers.h"
#include "text.h"

#include <errno.h>

// Whether the caller already runs under a seccomp filter, or this can't be known.
int under_a_filter(void);

enum {
    NO_LISTENER = -1,
    PROBE_REACHED = EXFULL, // our answer; no filter would return it
    PROBE_FAILED = 1000,    // no errno
};

// Makes one call by this number, with null arguments, in a child: a filter may kill it. `shared`,
// unless NULL: the arguments are such that the call is not the other system call. If it reaches
// `listener`, it is answered there; nothing of it reaches PROGRAM or an agent. Returns the call's
// errno (0: none), -N if signal N ended the child, or PROBE_FAILED if it can't be found out.
long probe_call(long listener, long nr, const struct shared_number *shared);

// Whether a stricter filter keeps a call from our listener, given what probe_call() returned.
int is_refused(long seen);

// Adds "EPERM", or "SIGSYS".
void add_outcome(struct text *text, long seen);

#endif
