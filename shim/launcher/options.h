// SPDX-License-Identifier: MIT
#ifndef SHIM_OPTIONS_H
#define SHIM_OPTIONS_H

#include "calls.h"
#include "text.h"

struct shim_options {
    const char *socket;
    const char *nr; // as given; the agent reads it, too
    struct shim_calls calls;
    int optional;   // run PROGRAM even if clone2 is not available
    int require;    // run no PROGRAM if a stricter filter refuses the number
    char **program; // ends with NULL
    int check;
    const char *feature; // the only one to check; NULL: all
};

enum parsed { PARSED_RUN, PARSED_HELP, PARSED_VERSION, PARSED_CHECK, PARSED_WRONG };

// Options end at the first word that is not one, or after "--". On error, `wrong` says what is
// wrong.
enum parsed parse_options(char **arguments, char **environment, struct shim_options *options,
                          struct text *wrong);

// The value of a variable; NULL: not set.
const char *variable(char **environment, const char *name);

extern const char help_text[];

#endif
