// SPDX-License-Identifier: MIT
#ifndef SHIM_CHECK_H
#define SHIM_CHECK_H

#include "options.h"

enum { OWN_FAILURE = 125 };

// --check: prints what this place allows, in the words of clone2-supervise --check. Returns the
// exit status. Leaves a filter installed.
int run_check(const struct shim_options *options);

#endif
