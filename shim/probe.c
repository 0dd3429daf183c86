// SPDX-License-Identifier: MIT
//
// How clone3 checks set_tid (since 5.5): first the number of entries (EINVAL); then for each
// namespace, from the innermost: EINVAL for a pid out of range, or for any pid but 1 in a namespace
// without an init; EPERM; EEXIST. A list that ends with 1 (in use) or -1 (out of range) can't
// succeed, and its error shows which entry was reached. Pids up to 300 are in range everywhere,
// because pid_max can't be lower.
#include "probe.h"

#include "base/arch/native.h"
#include "base/capabilities.h"

#include <errno.h>
#include <linux/sched.h>
#include <sys/syscall.h>

enum {
    SURE_TO_BE_IN_RANGE = 300,
    FIRST_AFTER_WRAP = 300, // the kernel's RESERVED_PIDS
    LIKELY_PID_MAX = 32768,
    TRIES = 512,
};

// The nesting level as far as it matters: deep enough for the pids asked for, or not.
enum { TOO_MANY = 0, FITS = PLAN_MAX_PIDS - 1 };

static long ask_with(uint64_t flags, const pid_t *set_tid, uint32_t size)
{
    struct clone_args args = {
        // Sharing everything is cheapest.
        .flags = flags | CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_PIDFD,
        // Never writable: if all pids of a list are free after all, clone3 fails before the child
        // can run.
        .pidfd = ~0ULL << 12,
        .set_tid = (uint64_t)(uintptr_t)set_tid,
        .set_tid_size = size,
    };
    return raw_call(SYS_clone3, &args, CLONE_ARGS_SIZE_VER1);
}

static long ask(const pid_t *set_tid, uint32_t size)
{
    return ask_with(0, set_tid, size);
}

// {first, 1, 1, ...}
static long ask_ones(pid_t first, uint32_t size)
{
    pid_t list[PLAN_MAX_SET_TID];
    for (uint32_t i = 0; i < size; i++) {
        list[i] = 1;
    }
    list[0] = first;
    return ask(list, size);
}

static bool answers(long result)
{
    return result == -EEXIST || result == -EPERM || result == -EINVAL;
}

// For clone3 that is forbidden, or fails before it looks at pids (EAGAIN at RLIMIT_NPROC, ENOMEM).
// A caller without any of the capabilities has no privilege. A caller with one is assumed to have
// it over all namespaces, and gets the earlier error.
static struct plan_facts guess(void)
{
    return (struct plan_facts){FITS, effective_capabilities(0) & PID_CAPABILITIES};
}

enum innermost { LIVE, UNBORN, UNKNOWN };

// Whether the next child's namespace has an init: after unshare(CLONE_NEWPID) it has none, and {1}
// alone would succeed.
static enum innermost innermost_state(void)
{
    const long result = ask_ones(SURE_TO_BE_IN_RANGE, 2);
    if (!answers(result)) {
        return UNKNOWN;
    }
    if (result != -EINVAL) {
        return LIVE;
    }
    // No init, or the initial namespace: there, two entries are too many.
    return ask_ones(1, 2) == -EINVAL ? LIVE : UNBORN;
}

static struct plan_facts one_namespace(enum innermost state)
{
    if (state == LIVE) {
        return (struct plan_facts){FITS, ask_ones(1, 1) == -EEXIST};
    }
    const pid_t list[2] = {1, -1};
    return (struct plan_facts){FITS, ask(list, 2) == -EINVAL};
}

// Level 32, the deepest, can't have child namespaces.
static bool is_deepest(void)
{
    const pid_t never = -1;
    return ask_with(CLONE_NEWPID, &never, 1) == -ENOSPC;
}

// Finds a free pid for list[at]; all pids before it are free. False: none, or no privilege
// (*result).
static bool find_free(pid_t *list, uint32_t at, pid_t first, long *result)
{
    pid_t candidate = first;
    for (unsigned i = 0; i < TRIES; i++) {
        list[at] = candidate;
        list[at + 1] = -1;
        *result = ask(list, at + 2);
        if (*result != -EEXIST && *result != -EINVAL) {
            return false;
        }
        if (*result == -EINVAL) {
            // Free or out of range. If out of range, a 1 after it is not reached.
            if (candidate <= SURE_TO_BE_IN_RANGE) {
                return true;
            }
            list[at + 1] = 1;
            if (ask(list, at + 2) != -EINVAL) {
                return true;
            }
            candidate = FIRST_AFTER_WRAP - 1;
        }
        // Tries the next pid; if many are in use, in growing steps.
        candidate += 1 + (pid_t)(i / 64 * 61);
        if (candidate >= LIKELY_PID_MAX && first < LIKELY_PID_MAX) {
            candidate = FIRST_AFTER_WRAP + (pid_t)i;
        }
    }
    return false;
}

// Whether a filter refuses clone3 whatever its arguments: the kernel gives EINVAL for so small a
// size.
static bool is_forbidden(void)
{
    return raw_call(SYS_clone3, 0, 0) != -EINVAL;
}

struct plan_facts shim_probe_facts(uint32_t nr_pids)
{
    if (is_forbidden()) {
        return guess();
    }
    const enum innermost state = innermost_state();
    if (state == UNKNOWN) {
        return guess();
    }
    if (nr_pids == 1) {
        return one_namespace(state);
    }
    uint32_t n = nr_pids;
    if (n > PLAN_MAX_SET_TID) {
        if (!is_deepest()) {
            return (struct plan_facts){TOO_MANY, false};
        }
        n = PLAN_MAX_SET_TID; // the oldest of 33 is the initial one: same owner as the next
    }
    pid_t list[PLAN_MAX_SET_TID + 1];
    const pid_t first = state == UNBORN ? 1 : SURE_TO_BE_IN_RANGE;
    const long all = ask_ones(first, n);
    if (!answers(all)) {
        return guess();
    }
    if (all == -EINVAL) {
        return (struct plan_facts){TOO_MANY, false};
    }
    // Add one entry at a time: all before the last must be free.
    list[0] = first;
    for (uint32_t i = 0; i + 1 < n; i++) {
        long result = -EINVAL;
        if (i == 0 && state == UNBORN) {
            list[1] = -1;
            result = ask(list, 2);
            if (result == -EINVAL) {
                continue;
            }
            return (struct plan_facts){FITS, false};
        }
        if (find_free(list, i, 2 + (pid_t)(i * 7), &result)) {
            continue;
        }
        if (result == -EPERM) {
            return (struct plan_facts){FITS, false};
        }
        return guess();
    }
    list[n - 1] = 1;
    return (struct plan_facts){FITS, ask(list, n) == -EEXIST};
}

// Where the last search ended, so that a pid isn't reused at once. Only a hint: threads may
// overwrite each other's.
static pid_t last_picked;

// Whether the first n pids of the list are free. Overwrites list[n].
static bool are_free(pid_t *list, uint32_t n)
{
    list[n] = -1;
    return n == 0 || ask(list, n + 1) != -EEXIST;
}

enum shim_picked shim_probe_pick(struct plan_call *call)
{
    pid_t list[PLAN_MAX_SET_TID + 1];
    const uint32_t extra = clone2_plan_extra_entries(call);
    const uint32_t n = (uint32_t)call->set_tid_size - extra;
    const uint64_t to_pick = call->to_pick >> extra;
    pid_t *wanted = call->set_tid + extra;
    for (uint32_t i = 0; i + 1 < n; i++) {
        list[i] = wanted[i];
        if (!(to_pick & (1ULL << i))) {
            if (!are_free(list, i + 1)) {
                return are_free(list, i) ? SHIM_BUSY : SHIM_LOST;
            }
            continue;
        }
        if (i == 0 && innermost_state() == UNBORN) {
            list[0] = 1;
        } else {
            long result = 0;
            pid_t hint = __atomic_load_n(&last_picked, __ATOMIC_RELAXED);
            if (hint == 0) {
                hint = (pid_t)raw_call(SYS_gettid);
            }
            // The real call reports other failures.
            if (!find_free(list, i, hint + 1, &result) && result == -EEXIST) {
                return are_free(list, i) ? SHIM_BUSY : SHIM_LOST;
            }
            __atomic_store_n(&last_picked, list[i], __ATOMIC_RELAXED);
        }
        wanted[i] = list[i];
    }
    return SHIM_PICKED;
}

bool shim_probe_still_free(const struct plan_call *call)
{
    pid_t list[PLAN_MAX_SET_TID];
    const uint32_t extra = clone2_plan_extra_entries(call);
    const uint32_t n = (uint32_t)call->set_tid_size - extra;
    for (uint32_t i = 0; i < n; i++) {
        list[i] = call->set_tid[extra + i];
    }
    return are_free(list, n - 1);
}
