// SPDX-License-Identifier: MIT
#ifndef SHIM_AGENT_H
#define SHIM_AGENT_H

#include "text.h"

// Connects to the agent: the socket, or -errno of `call`.
long connect_agent(const char *path, const char **call);

// Hands the listener over and waits for the answer. 0: it is served; else `answer` says why not,
// where that is not the agent's own answer by the name of the system call.
int hand_over(long socket, long listener, long nr, struct text *answer);

// A descriptor beyond the standard ones, closed on exec, for one that may be among them: where
// the caller has closed those, PROGRAM is to find them closed.
long move_up(long fd);

void close_fd(long fd);

#endif
