// SPDX-License-Identifier: MIT
#ifndef SHIM_AGENT_H
#define SHIM_AGENT_H

#include "text.h"

// Why the agent was not reached.
struct unreached {
    const char *call; // the one that failed
    enum {
        NO_AGENT,
        WRONG_PATH, // no agent has a socket there
        NOT_ALLOWED,
        UNKNOWN_WHETHER_ANY
    } means;
};

// Connects to the agent. Returns the socket, or -errno and `why`.
long connect_agent(const char *path, struct unreached *why);

// Hands the listener over and waits for the answer. `refusals`: how a stricter filter refuses
// which numbers, for the agent's log; empty: it doesn't. 0: it is served. Otherwise `answer` says
// why not: the agent's own answer, or the name and error of a failed system call. `nr`: the calls
// that the filter traps, as --nr has them.
int hand_over(long socket, long listener, const char *nr, const struct text *refusals,
              struct text *answer);

// Whether an agent that was connected to serves this user. 0: it does. Otherwise `answer` says why
// not. Hands nothing over; the agent sees a peer that has changed its mind.
int ask_agent(long socket, struct text *answer);

// Moves a descriptor above the standard ones and sets close-on-exec. If the caller has closed a
// standard descriptor, PROGRAM must find it closed.
long move_up(long fd);

void close_fd(long fd);

#endif
