// SPDX-License-Identifier: MIT
// SIGALRM by a timer, for checks that are interrupted by signals.
#ifndef CONFORMANCE_ALARM_H
#define CONFORMANCE_ALARM_H

// The first one after first_us microseconds, then one each interval_us (0: no more). Below a
// second.
void start_timer(unsigned first_us, unsigned interval_us);
// Runs handler on SIGALRM, on the alternate stack; flags as sigaction(2)'s sa_flags.
void handle(void (*handler)(int), int flags);

#endif
