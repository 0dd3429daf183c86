// SPDX-License-Identifier: MIT
// The shim's plan, and the system call that it makes of it: pure code, no privilege.
#include "plan.h"

#include "expect.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#define DETACHED 0x00400000ULL

static const struct plan_facts good = {32, true};

static struct plan_request request_for(uint64_t flags, uint32_t n, const pid_t *pids)
{
    struct plan_request r;
    memset(&r, 0x5a, sizeof r); // pids that were not asked for are never looked at
    r.flags = flags;
    r.child_stack = 0;
    r.stack_size = 0;
    r.nr_pids = n;
    r.pidfd = 0x1000;
    r.parent_tid = 0x1000;
    r.child_tid = 0x2000;
    r.tls = 0x3000;
    r.pids_readable = true;
    if (n) {
        memcpy(r.pids, pids, n * sizeof *pids);
    }
    return r;
}

#define REQUEST(flags, ...)                                                                        \
    request_for(flags, sizeof((pid_t[]){__VA_ARGS__}) / sizeof(pid_t), (pid_t[]){__VA_ARGS__})

static void refusals(void)
{
    struct shim_kernel_call call;
    struct plan_request r = request_for(SIGCHLD, 0, NULL);
    EXPECT(0, shim_plan(&r, NULL, &call));
    for (int bit = 33; bit < 64; bit++) {
        r.flags = SIGCHLD | 1ULL << bit;
        EXPECT(EINVAL, shim_plan(&r, NULL, &call));
    }
    r.flags = SIGCHLD | 1ULL << 32;
    EXPECT(0, shim_plan(&r, NULL, &call));
    r.nr_pids = PLAN_MAX_PIDS;
    EXPECT(ENOSYS, shim_plan(&r, NULL, &call)); // clone3 takes 32
    r.nr_pids = PLAN_MAX_PIDS + 1;
    EXPECT(EINVAL, shim_plan(&r, NULL, &call));
    r.nr_pids = UINT32_MAX;
    EXPECT(EINVAL, shim_plan(&r, NULL, &call));
}

static void order_of_errors(void)
{
    struct shim_kernel_call call;
    const struct plan_facts too_many = {0, false};
    const struct plan_facts unprivileged = {1, false};
    struct plan_request r = REQUEST(SIGCHLD | DETACHED | CLONE_PIDFD, 0, 77);
    r.pids_readable = false;
    EXPECT(1, clone2_plan_needs_facts(&r));
    EXPECT(EINVAL, shim_plan(&r, &too_many, &call));
    EXPECT(EFAULT, shim_plan(&r, &unprivileged, &call));
    r.pids_readable = true;
    EXPECT(EPERM, shim_plan(&r, &unprivileged, &call));
    EXPECT(EINVAL, shim_plan(&r, &good, &call)); // CLONE_DETACHED with CLONE_PIDFD
    EXPECT(EINVAL, clone2_plan_judge(2, &too_many, EEXIST).err);
    EXPECT(EPERM, clone2_plan_judge(2, &unprivileged, EEXIST).err);
    EXPECT(EBUSY, clone2_plan_judge(2, &good, EEXIST).err);
    EXPECT(EAGAIN, clone2_plan_judge(2, &good, EAGAIN).err);
}

static void without_pids(void)
{
    struct shim_kernel_call call;
    struct plan_request r = request_for(SIGCHLD | CLONE_SETTLS | DETACHED, 0, NULL);
    r.child_stack = 0xffffffffffffff00ULL;
    r.pids_readable = false;
    EXPECT(0, clone2_plan_needs_facts(&r));
    r.pids_readable = true;
    EXPECT(0, shim_plan(&r, NULL, &call));
    // clone(2), with whatever was passed.
    EXPECT(SYS_clone, call.nr);
    EXPECT(SIGCHLD | CLONE_SETTLS | DETACHED, call.arg[0]);
    EXPECT(0xffffffffffffff00ULL, call.arg[1]);
    EXPECT(0x1000, call.arg[2]);
    EXPECT(0x2000, call.arg[3]);
    EXPECT(0x3000, call.arg[4]);
    EXPECT(0, call.clone3);
    // Only clone3 knows this one.
    r.flags = SIGCHLD | 1ULL << 32;
    EXPECT(0, shim_plan(&r, NULL, &call));
    EXPECT(SYS_clone3, call.nr);
    EXPECT(1ULL << 32, call.plan.flags);
    EXPECT(0, call.plan.set_tid_size);
    EXPECT(0, call.plan.set_tid_address);
    // Zeros alone are the kernel's to choose.
    r = REQUEST(SIGCHLD, 0, 0);
    EXPECT(1, clone2_plan_needs_facts(&r));
    EXPECT(0, shim_plan(&r, &good, &call));
    EXPECT(SYS_clone, call.nr);
    EXPECT(0, call.plan.to_pick);
}

static void pids(void)
{
    struct shim_kernel_call call;
    struct plan_request r = REQUEST(SIGCHLD, 55, 77, 99);
    EXPECT(0, clone2_plan_needs_facts(&r));
    EXPECT(0, shim_plan(&r, NULL, &call));
    EXPECT(SYS_clone3, call.nr);
    EXPECT((uintptr_t)&call.plan, call.arg[0]);
    EXPECT(CLONE_ARGS_SIZE_VER1, call.arg[1]);
    EXPECT((uintptr_t)call.plan.set_tid, call.plan.set_tid_address);
    EXPECT(3, call.plan.set_tid_size);
    EXPECT(99, call.plan.set_tid[0]);
    EXPECT(77, call.plan.set_tid[1]);
    EXPECT(55, call.plan.set_tid[2]);
    EXPECT(0, call.plan.to_pick);

    r = REQUEST(SIGCHLD | CLONE_NEWPID, 0, 77, 0);
    EXPECT(1, clone2_plan_needs_facts(&r));
    EXPECT(0, shim_plan(&r, &good, &call));
    EXPECT(3, call.plan.set_tid_size); // the new namespace's 1, a 0 to choose, 77
    EXPECT(1, clone2_plan_extra_entries(&call.plan));
    EXPECT(1, call.plan.set_tid[0]);
    EXPECT(0, call.plan.set_tid[1]);
    EXPECT(77, call.plan.set_tid[2]);
    EXPECT(1 << 1, call.plan.to_pick);

    pid_t many[PLAN_MAX_PIDS];
    for (int i = 0; i < PLAN_MAX_PIDS; i++) {
        many[i] = 500 + i;
    }
    r = request_for(SIGCHLD, PLAN_MAX_PIDS, many);
    EXPECT(1, clone2_plan_needs_facts(&r));
    EXPECT(ENOSYS, shim_plan(&r, &good, &call)); // clone3 takes 32
    r.pids[0] = 0;
    EXPECT(0, shim_plan(&r, &good, &call));
    EXPECT(32, call.plan.set_tid_size);
    EXPECT(500 + 32, call.plan.set_tid[0]);
    EXPECT(501, call.plan.set_tid[31]);
    r.flags |= CLONE_NEWPID;
    EXPECT(ENOSYS, shim_plan(&r, &good, &call));
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
        struct plan_request r = REQUEST(cases[i].asked, 77);
        EXPECT(0, shim_plan(&r, NULL, &call));
        EXPECT(cases[i].flags, call.plan.flags);
        EXPECT(cases[i].exit_signal, call.plan.exit_signal);
        EXPECT(0, call.plan.pidfd);
        EXPECT(0x1000, call.plan.parent_tid);
        EXPECT(0x2000, call.plan.child_tid);
        EXPECT(0x3000, call.plan.tls);
    }
    struct plan_request r = REQUEST(SIGCHLD | CLONE_PIDFD, 77);
    EXPECT(0, shim_plan(&r, NULL, &call));
    EXPECT(0x1000, call.plan.pidfd);
}

static void stacks(void)
{
    struct shim_kernel_call call;
    static const uint64_t within[] = {2, 8, 4096, 0x7f0000001234ULL, (1ULL << 47) - 4096};
    struct plan_request r = REQUEST(SIGCHLD, 77);
    for (size_t i = 0; i < sizeof within / sizeof within[0]; i++) {
        r.child_stack = within[i];
        EXPECT(0, shim_plan(&r, NULL, &call));
        EXPECT(within[i], call.child_sp);
        EXPECT(within[i], call.plan.stack + call.plan.stack_size);
        EXPECT(1, call.plan.stack > 0 && call.plan.stack_size > 0);
    }
    static const uint64_t beyond[] = {1, (1ULL << 47) - 4095, 1ULL << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        r.child_stack = beyond[i];
        EXPECT(0, shim_plan(&r, NULL, &call));
        EXPECT(beyond[i], call.child_sp);
        EXPECT(0, call.plan.stack);
        EXPECT(0, call.plan.stack_size);
    }
    r.child_stack = 0;
    EXPECT(0, shim_plan(&r, NULL, &call));
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
