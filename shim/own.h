// SPDX-License-Identifier: MIT
// Trap mode: SIGSYS as the program sees it. The real signal always has our handler and is never
// blocked. What the program asks for is kept here: its action, and whether each thread blocks it.
#ifndef SHIM_OWN_H
#define SHIM_OWN_H

#include <signal.h>
#include <stdbool.h>

// Called once, when we take over the real SIGSYS: the program's previous settings.
void shim_own_start(const struct sigaction *action, bool blocked);
bool shim_own_started(void);

// Like sigaction(SIGSYS, action, old).
void shim_own_action(const struct sigaction *action, struct sigaction *old);

bool shim_own_blocked(void);
bool shim_own_pending(void);
// Sets whether this thread blocks SIGSYS. Unblocking delivers a pending one.
void shim_own_block(bool blocked);

// Brackets a system call that waits with another mask: unblocking what the mask does not block and
// waiting is one step.
struct shim_own_wait {
    sigset_t mask; // without SIGSYS
    bool changed, blocked, queued;
};
// Returns the mask to wait with.
const sigset_t *shim_own_enter_wait(struct shim_own_wait *wait, const sigset_t *mask);
void shim_own_leave_wait(const struct shim_own_wait *wait);

// Does what the kernel would do with a SIGSYS that is not ours.
void shim_own_deliver(siginfo_t *info, void *context);

#endif
