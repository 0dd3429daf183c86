// SPDX-License-Identifier: MIT
#include "plan.h"

#include "arch.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>

#define EXIT_SIGNAL_MASK 0xffULL
#define LEGACY_FLAGS 0xffffffffULL
#define DETACHED 0x00400000ULL // no longer in every linux/sched.h
#define LAST_SIGNAL 64ULL
#define CLEAR_SIGHAND (1ULL << 32)

// clone3 wants base and size. A realistic size: it also sizes a shadow stack.
#define STACK_SIZE (8ULL << 20)

static bool has_zeros(const struct shim_request *request)
{
    for (uint32_t i = 0; i < request->args.nr_pids; i++) {
        if (request->pids[i] == 0)
            return true;
    }
    return false;
}

// Errors of clone(2) that clone3, called as we call it, would not give.
static bool clone_refuses(const struct shim_request *request)
{
    return (request->args.flags & DETACHED) && (request->args.flags & CLONE_PIDFD);
}

// set_tid entries that are needed: the kernel chooses for trailing (oldest) zeros itself.
static uint32_t needed_entries(const struct shim_request *request)
{
    uint32_t n = request->args.nr_pids;
    for (uint32_t i = 0; n > 0 && request->pids[i] == 0; i++)
        n--;
    return n;
}

static uint32_t new_namespace(const struct shim_request *request)
{
    return request->args.flags & CLONE_NEWPID ? 1 : 0;
}

int shim_plan_refuse(const struct shim_request *request)
{
    if (request->args.flags & ~LEGACY_FLAGS & ~CLEAR_SIGHAND)
        return EINVAL;
    return request->args.nr_pids > SHIM_MAX_PIDS ? EINVAL : 0;
}

bool shim_plan_needs_facts(const struct shim_request *request)
{
    if (request->args.nr_pids == 0)
        return false;
    // Without zeros clone3 itself looks at every entry's namespace.
    return !request->pids_readable || has_zeros(request) || clone_refuses(request) ||
           needed_entries(request) + new_namespace(request) > SHIM_MAX_SET_TID;
}

static void set_stack(uint64_t sp, struct shim_kernel_call *call)
{
    call->child_sp = sp;
    // Beyond these clone3 refuses what clone(2) takes; the child sets its stack pointer anyway.
    if (sp < 2 || sp > SHIM_USER_END)
        return;
    call->args.stack_size = sp - 1 < STACK_SIZE ? sp - 1 : STACK_SIZE;
    call->args.stack = sp - call->args.stack_size;
}

static void make_clone3(const struct shim_request *request, uint32_t entries,
                        struct shim_kernel_call *call)
{
    const struct clone_struct *asked = &request->args;
    struct clone_args *args = &call->args;
    args->flags = asked->flags & ~EXIT_SIGNAL_MASK & ~DETACHED;
    args->exit_signal = asked->flags & EXIT_SIGNAL_MASK;
    // Where clone(2) ignores the signal, clone3 insists on 0.
    if ((args->flags & (CLONE_THREAD | CLONE_PARENT)) || args->exit_signal > LAST_SIGNAL)
        args->exit_signal = 0;
    args->tls = request->tls;
    args->child_tid = asked->child_tid;
    args->parent_tid = asked->parent_tid;
    // One field of clone(2) is two of clone3. Equal, so that the kernel itself refuses both flags.
    if (args->flags & CLONE_PIDFD)
        args->pidfd = asked->parent_tid;
    set_stack(asked->child_stack, call);

    uint32_t n = 0;
    if (entries && new_namespace(request))
        call->set_tid[n++] = 1; // extra, and its first process has to be 1
    call->extra = n;
    for (uint32_t i = 0; i < entries; i++) {
        pid_t pid = request->pids[asked->nr_pids - 1 - i];
        if (pid == 0)
            call->to_pick |= 1ULL << n;
        call->set_tid[n++] = pid;
    }
    if (n) {
        args->set_tid = (uint64_t)(uintptr_t)call->set_tid;
        args->set_tid_size = n;
    }
    call->clone3 = true;
    call->nr = SYS_clone3;
    call->arg[0] = (uint64_t)(uintptr_t)args;
    call->arg[1] = CLONE_ARGS_SIZE_VER1;
}

int shim_plan_make(const struct shim_request *request, const struct shim_facts *facts,
                   struct shim_kernel_call *call)
{
    if (facts && !facts->fits)
        return EINVAL;
    if (request->args.nr_pids && !request->pids_readable)
        return EFAULT;
    if (facts && !facts->privileged)
        return EPERM;
    if (clone_refuses(request))
        return EINVAL;
    const uint32_t entries = needed_entries(request);
    if (entries + new_namespace(request) > SHIM_MAX_SET_TID)
        return ENOSYS;
    *call = (struct shim_kernel_call){0};
    // Without pids it is clone(2), whatever its flags mean there; and sandboxes that forbid clone3
    // (its arguments can't be filtered) know clone(2).
    if (entries == 0 && !(request->args.flags & CLEAR_SIGHAND)) {
        call->nr = SYS_clone;
        call->child_sp = request->args.child_stack;
        shim_arch_clone_args(call->arg, request->args.flags & LEGACY_FLAGS,
                             request->args.child_stack, request->args.parent_tid,
                             request->args.child_tid, request->tls);
        return 0;
    }
    make_clone3(request, entries, call);
    return 0;
}

int shim_plan_judge(const struct shim_facts *facts, int error)
{
    if (!facts->fits)
        return EINVAL;
    if (!facts->privileged)
        return EPERM;
    return error == EEXIST ? EBUSY : error;
}
