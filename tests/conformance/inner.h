// SPDX-License-Identifier: MIT
// "inner NAME": a part of a check that runs in a newly executed image of this program, where the
// provider has not set itself up yet. Outcomes go to the same shared report.
#ifndef CONFORMANCE_INNER_H
#define CONFORMANCE_INNER_H

struct inner {
    const char *name;
    void (*run)(void);
};

// Each ends with an entry without a name.
extern const struct inner life_inners[], limits_inners[], setting_inners[], storms_inners[],
    threads_inners[];

// A few calls of each kind; the pids from first to first + 9 must be free.
void basic_calls(int first);
// Forks, execs "inner NAME" and joins it.
void run_inner(const char *name);

#endif
