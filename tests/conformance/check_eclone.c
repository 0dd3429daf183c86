// SPDX-License-Identifier: MIT
// What eclone alone has among the forms of the call.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"
#include "nest.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

static int has_own_number(void)
{
    return options.nr != options.abi->shared_nr;
}

// EINVAL before anything is read. Under fanotify_init's number such a call is fanotify_init's,
// which refuses these arguments, too, if the kernel has it.
static void args_size(void)
{
    struct call *c = call_new();
    static const uint32_t sizes[] = {0, 1, 40, 47, 49, 64, 96, 0x30000, 0x80000030, 0xffffffff};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (unsigned unreadable = 0; unreadable < 2; unreadable++) {
            CALL_SET(c, SIGCHLD, 500);
            c->args_size = sizes[i];
            c->child = child_is_bad;
            if (unreadable) {
                c->args = guarded_pages(1, 0) - 24;
                c->pids = NULL;
            }
            if (has_own_number()) {
                call_expect(c, -EINVAL);
            } else {
                long got = call_run(c);
                EXPECT(got == -EINVAL || got == -EPERM || got == -ENOSYS,
                       "args_size %u: expected an error, got %s", c->args_size, result_text(got));
            }
        }
    }
    expect_no_children("after errors");
}

// Each bit of what must be 0, whatever else is right or wrong.
static void must_be_zero(void)
{
    struct call *c = call_new();
    for (int bit = 0; bit < 64; bit++) {
        for (int field = 0; field < 3; field++) {
            CALL_SET(c, SIGCHLD, 500);
            c->child = child_is_bad;
            if (field == 0) {
                c->own_args.flags |= 1ULL << (32 + bit % 32);
            } else if (field == 1) {
                c->own_args.stack_size = 1ULL << bit;
            } else {
                c->own_args.reserved0 = 1U << bit % 32;
            }
            call_expect(c, -EINVAL);
            c->pids = NULL;
            call_expect(c, -EINVAL);
            c->own_args.nr_pids = 0;
            call_expect(c, -EINVAL);
        }
    }
    expect_no_children("after errors");
}

// The addresses are as wide as the program's own; what is above is ignored, as by clone(2).
static void wide_addresses(void)
{
    struct call *c = call_new();
    int *word = (void *)guarded_pages(1, 1);
    unsigned char *stack = guarded_pages(2, 0) + 4096;
    const uint64_t above = sizeof(void *) == 4 ? 0xabcdef0000000000ULL : 0;
    for (unsigned nr = 0; nr < 2; nr++) {
        const pid_t want = 510;
        word[0] = word[1] = -1;
        call_set(c, SIGCHLD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID, nr, &want);
        c->own_args.parent_tid = (uintptr_t)&word[0] | above;
        c->own_args.child_tid = (uintptr_t)&word[1] | above;
        c->own_args.child_stack = (uintptr_t)stack | above;
        const pid_t pid = call_ok(c, nr ? want : 0);
        expect_long("parent_tid", pid, word[0]);
        expect_long("child_tid", pid, word[1]);
        call_set(c, SIGCHLD | CLONE_PIDFD, nr, &want);
        c->own_args.parent_tid = (uintptr_t)&word[0] | above;
        word[0] = -1;
        call_ok(c, nr ? want : 0);
        EXPECT(fcntl(word[0], F_GETFD) == FD_CLOEXEC, "parent_tid is no pidfd: %d", word[0]);
        close(word[0]);
    }
}

// fanotify_init has this number. It works in a program that uses eclone, even with 48 in what is
// eclone's third argument.
static void beside_fanotify_init(void)
{
    struct call *c = call_new();
    if (has_own_number()) {
        return;
    }
    for (uint64_t third = 0; third <= 48; third += 48) {
        const long got = arch_raw(options.nr, 0, O_CLOEXEC, third, 0, 0, 0);
        EXPECT(got >= 0 || got == -EPERM || got == -EMFILE || got == -ENOSYS,
               "fanotify_init: %s, with %d in the third register", result_text(got), (int)third);
        if (got >= 0) {
            close((int)got);
        }
        CALL_SET(c, SIGCHLD, 520);
        call_ok(c, 520);
    }
}

const struct check eclone_checks[] = {
    {"eclone-args-size", "args_size other than 48: EINVAL", args_size},
    {"eclone-must-be-zero", "clone_flags_high, child_stack_size, reserved0", must_be_zero},
    {"eclone-wide-addresses", "64-bit addresses", wide_addresses},
    {"eclone-beside-fanotify", "fanotify_init in the same program", beside_fanotify_init},
    {0},
};
