// SPDX-License-Identifier: MIT
// Pid namespaces, capabilities and memory for checks.
#ifndef CONFORMANCE_NEST_H
#define CONFORMANCE_NEST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// The nesting level of the caller's pid namespace; the initial one has 0. Found with clone3,
// because /proc may show only some of the levels. Skips if clone3 can't be used.
int nesting_level(void);
// In how many of the innermost pid namespaces (of level + 1) the caller may choose pids.
int levels_owned(int level);
// Runs fn depth pid namespaces below the caller, as an ordinary process there (not pid 1).
void in_nested(int depth, void (*fn)(void *), void *arg);
// Runs fn in a new user namespace, mapped to root; skips if that is impossible.
void in_user_namespace(void (*fn)(void *), void *arg);
void need_user_namespaces(void);
// pid_max of the caller's pid namespace.
int pid_max(void);
// Keeps only the capabilities in mask, in all sets of this process.
void keep_capabilities(uint64_t mask);
#define CAPABILITY(number) (1ULL << (number))
// Compares the process ids that /proc shows of a child with those wanted: n values, innermost last.
// 0 matches any.
struct call;
void expect_nspid(const struct call *c, int n, const int *want);
#define EXPECT_NSPID(c, ...)                                                                       \
    expect_nspid(c, sizeof((int[]){__VA_ARGS__}) / sizeof(int), (int[]){__VA_ARGS__})
// Pages surrounded by inaccessible pages; shared or private memory.
unsigned char *guarded_pages(size_t pages, int shared);
// A page below 4 GiB.
unsigned char *low_page(int shared);
size_t page_size(void);
// Gives this thread a stack for SA_ONSTACK handlers, so that they don't run on the stack whose
// bytes are compared.
void use_alternate_stack(void);
// Waits until the thread of this process can no longer be found; see call_expect_soon().
void wait_for_thread(pid_t tid);

#endif
