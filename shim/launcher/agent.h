// SPDX-License-Identifier: MIT
#ifndef SHIM_AGENT_H
#define SHIM_AGENT_H

#include "text.h"

// Connects to the agent. Returns the socket, or -errno and the name of the failed call.
long connect_agent(const char *path, const char **call);

// Hands the listener over and waits for the answer. `refusal`: how a stricter filter refuses the
// number, for the agent's log; empty: it doesn't. 0: it is served. Otherwise `answer` says why
// not: the agent's own answer, or the name and error of a failed system call.
// `nr`: the calls that the filter traps, as --nr has them.
int hand_over(long socket, long listener, const char *nr, const struct text *refusal,
              struct text *answer);

// Whether an agent that was connected to serves this user. 0: it does. Otherwise `answer` says why
// not. Hands nothing over; the agent sees a peer that has changed its mind.
int ask_agent(long socket, struct text *answer);

// Moves a descriptor above the standard ones and sets close-on-exec. If the caller has closed a
// standard descriptor, PROGRAM must find it closed.
long move_up(long fd);

void close_fd(long fd);

#endif
