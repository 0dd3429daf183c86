// SPDX-License-Identifier: MIT
#ifndef SHIM_FILTER_H
#define SHIM_FILTER_H

#include "calls.h"

struct installed_filter {
    int wait_killable;
    int no_new_privs; // had to be set
};

// Sends these calls of the process and its descendants to a listener. Returns the listener, or
// -errno.
long install_listener(const struct shim_calls *calls, struct installed_filter *installed);

// What such an errno means here. Empty, or begins with ": ".
const char *advice_for_filter(long err);

#endif
