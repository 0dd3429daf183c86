// SPDX-License-Identifier: MIT
// What clone_with_pids alone has among the forms of the call.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>

// Without a set it is clone(2), with everything that clone(2) has, and needs no privilege.
static void without_set_inside(void *arg)
{
    struct call *c = call_new();
    volatile int *word = (void *)low_page(1);
    (void)arg;
    keep_capabilities(0);
    for (int i = 0; i < 20; i++) {
        call_set(c, SIGCHLD, 0, NULL);
        c->args = NULL;
        call_ok(c, 0);
        call_set(c, SIGCHLD | CLONE_PARENT_SETTID, 0, NULL);
        c->args = NULL;
        c->own_args.parent_tid = (uintptr_t)word;
        c->own_args.child_stack = (uintptr_t)guarded_pages(2, 0) + 4096;
        const pid_t pid = call_ok(c, 0);
        expect_long("parent_tid", pid, word[0]);
        call_set(c, CLONE_THREAD, 0, NULL);
        c->args = NULL;
        call_expect(c, -EINVAL);
    }
}

static void without_set(void)
{
    in_child(without_set_inside, NULL);
}

// After EFAULT for the set and before EFAULT for the pids, and before EPERM.
static void num_pids_inside(void *arg)
{
    struct call *c = call_new();
    (void)arg;
    keep_capabilities(0);
    static const uint32_t wrong[] = {0xffffffff, 0x80000000, 0x7fffffff, 64, 1000};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        CALL_SET(c, SIGCHLD, 500);
        c->own_args.nr_pids = wrong[i];
        c->child = child_is_bad;
        call_expect(c, -EINVAL);
        c->pids = NULL;
        call_expect(c, -EINVAL);
        c->own_args.flags |= CLONE_THREAD;
        call_expect(c, -EINVAL);
        c->args = guarded_pages(1, 0) - 4;
        call_expect(c, -EFAULT);
    }
    CALL_SET(c, SIGCHLD, 500);
    c->pids = NULL;
    call_expect(c, -EFAULT);
}

static void num_pids(void)
{
    in_child(num_pids_inside, NULL);
}

const struct check clone_with_pids_checks[] = {
    {"clone-with-pids-no-set", "no set: a plain clone, without privilege", without_set},
    {"clone-with-pids-number", "num_pids negative or too large: EINVAL", num_pids},
    {0},
};
