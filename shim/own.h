// SPDX-License-Identifier: MIT
// Trap mode: SIGSYS as the program sees it. The real one always has our handler and is blocked
// nowhere; what the program asks for is kept here: its action, and whether a thread blocks it.
#ifndef SHIM_OWN_H
#define SHIM_OWN_H

#include <signal.h>
#include <stdbool.h>

// Called once, when the real SIGSYS is ours: what the program had before.
void shim_own_start(const struct sigaction *action, bool blocked);
bool shim_own_started(void);

// As sigaction(SIGSYS, action, old).
void shim_own_action(const struct sigaction *action, struct sigaction *old);

bool shim_own_blocked(void);
bool shim_own_pending(void);
// From now on this thread blocks SIGSYS, or not: one that came meanwhile is delivered.
void shim_own_block(bool blocked);

// Around a system call that waits with another mask: it unblocks what the mask does not block, and
// waits, as one step.
struct shim_own_wait {
    sigset_t mask; // without SIGSYS
    bool changed, blocked, queued;
};
// The mask to wait with.
const sigset_t *shim_own_enter_wait(struct shim_own_wait *wait, const sigset_t *mask);
void shim_own_leave_wait(const struct shim_own_wait *wait);

// Does with a SIGSYS that is not ours what the kernel would do.
void shim_own_deliver(siginfo_t *info, void *context);

#endif
