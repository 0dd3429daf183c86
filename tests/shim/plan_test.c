// SPDX-License-Identifier: MIT
// The shim's decisions: pure code, no privilege.
#include "plan.h"

#include "expect.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#define DETACHED 0x00400000ULL

static const struct shim_facts good = {true, true};

static struct shim_request request_for(uint64_t flags, uint32_t n, const pid_t *pids)
{
    struct shim_request r;
    memset(&r, 0x5a, sizeof r); // reserved fields are never looked at
    r.args.flags = flags;
    r.args.child_stack = 0;
    r.args.nr_pids = n;
    r.args.parent_tid = 0x1000;
    r.args.child_tid = 0x2000;
    r.tls = 0x3000;
    r.pids_readable = true;
    if (n)
        memcpy(r.pids, pids, n * sizeof *pids);
    return r;
}

#define REQUEST(flags, ...)                                                                        \
    request_for(flags, sizeof((pid_t[]){__VA_ARGS__}) / sizeof(pid_t), (pid_t[]){__VA_ARGS__})

static void refusals(void)
{
    struct shim_request r = request_for(SIGCHLD, 0, NULL);
    EXPECT(0, shim_plan_refuse(&r));
    for (int bit = 33; bit < 64; bit++) {
        r.args.flags = SIGCHLD | 1ULL << bit;
        EXPECT(EINVAL, shim_plan_refuse(&r));
    }
    r.args.flags = SIGCHLD | 1ULL << 32;
    EXPECT(0, shim_plan_refuse(&r));
    r.args.nr_pids = SHIM_MAX_PIDS;
    EXPECT(0, shim_plan_refuse(&r));
    r.args.nr_pids = SHIM_MAX_PIDS + 1;
    EXPECT(EINVAL, shim_plan_refuse(&r));
    r.args.nr_pids = UINT32_MAX;
    EXPECT(EINVAL, shim_plan_refuse(&r));
}

static void order_of_errors(void)
{
    struct shim_kernel_call call;
    const struct shim_facts too_many = {false, false};
    const struct shim_facts unprivileged = {true, false};
    struct shim_request r = REQUEST(SIGCHLD | DETACHED | CLONE_PIDFD, 0, 77);
    r.pids_readable = false;
    EXPECT(1, shim_plan_needs_facts(&r));
    EXPECT(EINVAL, shim_plan_make(&r, &too_many, &call));
    EXPECT(EFAULT, shim_plan_make(&r, &unprivileged, &call));
    r.pids_readable = true;
    EXPECT(EPERM, shim_plan_make(&r, &unprivileged, &call));
    EXPECT(EINVAL, shim_plan_make(&r, &good, &call)); // CLONE_DETACHED with CLONE_PIDFD
    EXPECT(EINVAL, shim_plan_judge(&too_many, EEXIST));
    EXPECT(EPERM, shim_plan_judge(&unprivileged, EEXIST));
    EXPECT(EBUSY, shim_plan_judge(&good, EEXIST));
    EXPECT(EAGAIN, shim_plan_judge(&good, EAGAIN));
}

static void without_pids(void)
{
    struct shim_kernel_call call;
    struct shim_request r = request_for(SIGCHLD | CLONE_SETTLS | DETACHED, 0, NULL);
    r.args.child_stack = 0xffffffffffffff00ULL;
    r.pids_readable = false;
    EXPECT(0, shim_plan_needs_facts(&r));
    r.pids_readable = true;
    EXPECT(0, shim_plan_make(&r, NULL, &call));
    // clone(2), with whatever was passed.
    EXPECT(SYS_clone, call.nr);
    EXPECT(SIGCHLD | CLONE_SETTLS | DETACHED, call.arg[0]);
    EXPECT(0xffffffffffffff00ULL, call.arg[1]);
    EXPECT(0x1000, call.arg[2]);
    EXPECT(0x2000, call.arg[3]);
    EXPECT(0x3000, call.arg[4]);
    EXPECT(0, call.clone3);
    // Only clone3 knows this one.
    r.args.flags = SIGCHLD | 1ULL << 32;
    EXPECT(0, shim_plan_make(&r, NULL, &call));
    EXPECT(SYS_clone3, call.nr);
    EXPECT(1ULL << 32, call.args.flags);
    EXPECT(0, call.args.set_tid_size);
    EXPECT(0, call.args.set_tid);
    // Zeros alone are the kernel's to choose.
    r = REQUEST(SIGCHLD, 0, 0);
    EXPECT(1, shim_plan_needs_facts(&r));
    EXPECT(0, shim_plan_make(&r, &good, &call));
    EXPECT(SYS_clone, call.nr);
    EXPECT(0, call.to_pick);
}

static void pids(void)
{
    struct shim_kernel_call call;
    struct shim_request r = REQUEST(SIGCHLD, 55, 77, 99);
    EXPECT(0, shim_plan_needs_facts(&r));
    EXPECT(0, shim_plan_make(&r, NULL, &call));
    EXPECT(SYS_clone3, call.nr);
    EXPECT((uintptr_t)&call.args, call.arg[0]);
    EXPECT(CLONE_ARGS_SIZE_VER1, call.arg[1]);
    EXPECT((uintptr_t)call.set_tid, call.args.set_tid);
    EXPECT(3, call.args.set_tid_size);
    EXPECT(99, call.set_tid[0]);
    EXPECT(77, call.set_tid[1]);
    EXPECT(55, call.set_tid[2]);
    EXPECT(0, call.to_pick);

    r = REQUEST(SIGCHLD | CLONE_NEWPID, 0, 77, 0);
    EXPECT(1, shim_plan_needs_facts(&r));
    EXPECT(0, shim_plan_make(&r, &good, &call));
    EXPECT(3, call.args.set_tid_size); // the new namespace's 1, a 0 to choose, 77
    EXPECT(1, call.extra);
    EXPECT(1, call.set_tid[0]);
    EXPECT(0, call.set_tid[1]);
    EXPECT(77, call.set_tid[2]);
    EXPECT(1 << 1, call.to_pick);

    pid_t many[SHIM_MAX_PIDS];
    for (int i = 0; i < SHIM_MAX_PIDS; i++)
        many[i] = 500 + i;
    r = request_for(SIGCHLD, SHIM_MAX_PIDS, many);
    EXPECT(1, shim_plan_needs_facts(&r));
    EXPECT(ENOSYS, shim_plan_make(&r, &good, &call)); // clone3 takes 32
    r.pids[0] = 0;
    EXPECT(0, shim_plan_make(&r, &good, &call));
    EXPECT(32, call.args.set_tid_size);
    EXPECT(500 + 32, call.set_tid[0]);
    EXPECT(501, call.set_tid[31]);
    r.args.flags |= CLONE_NEWPID;
    EXPECT(ENOSYS, shim_plan_make(&r, &good, &call));
}

static void flags(void)
{
    struct shim_kernel_call call;
    static const struct {
        uint64_t asked, flags, exit_signal;
    } cases[] = {
        {SIGCHLD, 0, SIGCHLD},
        {64, 0, 64},
        {65, 0, 0},
        {0xff, 0, 0},
        {SIGCHLD | DETACHED, 0, SIGCHLD},
        {SIGCHLD | CLONE_THREAD, CLONE_THREAD, 0},
        {SIGCHLD | CLONE_PARENT, CLONE_PARENT, 0},
        {SIGCHLD | 1ULL << 32, 1ULL << 32, SIGCHLD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct shim_request r = REQUEST(cases[i].asked, 77);
        EXPECT(0, shim_plan_make(&r, NULL, &call));
        EXPECT(cases[i].flags, call.args.flags);
        EXPECT(cases[i].exit_signal, call.args.exit_signal);
        EXPECT(0, call.args.pidfd);
        EXPECT(0x1000, call.args.parent_tid);
        EXPECT(0x2000, call.args.child_tid);
        EXPECT(0x3000, call.args.tls);
    }
    struct shim_request r = REQUEST(SIGCHLD | CLONE_PIDFD, 77);
    EXPECT(0, shim_plan_make(&r, NULL, &call));
    EXPECT(0x1000, call.args.pidfd);
}

static void stacks(void)
{
    struct shim_kernel_call call;
    static const uint64_t within[] = {2, 8, 4096, 0x7f0000001234ULL, (1ULL << 47) - 4096};
    struct shim_request r = REQUEST(SIGCHLD, 77);
    for (size_t i = 0; i < sizeof within / sizeof within[0]; i++) {
        r.args.child_stack = within[i];
        EXPECT(0, shim_plan_make(&r, NULL, &call));
        EXPECT(within[i], call.child_sp);
        EXPECT(within[i], call.args.stack + call.args.stack_size);
        EXPECT(1, call.args.stack > 0 && call.args.stack_size > 0);
    }
    static const uint64_t beyond[] = {1, (1ULL << 47) - 4095, 1ULL << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        r.args.child_stack = beyond[i];
        EXPECT(0, shim_plan_make(&r, NULL, &call));
        EXPECT(beyond[i], call.child_sp);
        EXPECT(0, call.args.stack);
        EXPECT(0, call.args.stack_size);
    }
    r.args.child_stack = 0;
    EXPECT(0, shim_plan_make(&r, NULL, &call));
    EXPECT(0, call.child_sp);
}

int main(void)
{
    refusals();
    order_of_errors();
    without_pids();
    pids();
    flags();
    stacks();
    return 0;
}
