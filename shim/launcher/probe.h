// SPDX-License-Identifier: MIT
#ifndef SHIM_PROBE_H
#define SHIM_PROBE_H

#include "text.h"

// Whether the caller already runs under a seccomp filter, or this can't be known.
int under_a_filter(void);

// Makes one call by this number under the filter that has `listener`, in a child, and answers it.
// Nothing of it reaches PROGRAM or an agent. If a stricter filter refuses the number, adds to
// `refusal` how: "Operation not permitted", or "signal 31". Nothing is added if the call arrives,
// or if that can't be found out.
void probe_number(long listener, long nr, struct text *refusal);

#endif
