// SPDX-License-Identifier: MIT
// The calls that --nr names: "[ARCH:]N[=ABI][,...]", as for clone2-supervise.
#ifndef SHIM_CALLS_H
#define SHIM_CALLS_H

enum { MOST_CALLS = 16 };

// The filter needs no more; what the ABIs mean is the agent's business.
struct shim_calls {
    unsigned count;
    struct {
        unsigned audit_arch;
        int number;
    } at[MOST_CALLS];
};

// NULL: done. Otherwise says what is wrong with the text.
const char *parse_calls(const char *text, struct shim_calls *calls);

// An architecture whose programs the agent serves.
struct served_arch {
    const char *name;
    unsigned audit_arch;
    int (*number_is_taken)(long nr);
};
// The first is the default; ends with a name that is NULL.
extern const struct served_arch served_archs[];

#endif
