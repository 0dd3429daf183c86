// SPDX-License-Identifier: MIT
// The calls that --nr names: "[ARCH:]N[=ABI][,...]", as for clone2-supervise.
#ifndef SHIM_CALLS_H
#define SHIM_CALLS_H

#include "text.h"

#include "abi/shared_numbers.h"

enum { MOST_CALLS = 16 };

// What the filter needs; what the ABIs mean is the agent's business.
struct shim_call {
    unsigned audit_arch;
    int number;
    const struct shared_number *shared; // NULL: no other system call has the number
};
struct shim_calls {
    unsigned count;
    struct shim_call at[MOST_CALLS];
};

// 0: `wrong` says what is wrong with the text.
int parse_calls(const char *text, struct shim_calls *calls, struct text *wrong);

// An architecture whose programs the agent serves.
struct served_arch {
    const char *name;
    unsigned audit_arch;
    int (*number_is_taken)(long nr);
};
// The first is the default; ends with a name that is NULL.
extern const struct served_arch served_archs[];

#endif
