// SPDX-License-Identifier: MIT
//
// Runs in the program, perhaps in a signal handler or in a thread without thread-local storage: raw
// system calls only; no errno, allocation or lock; compiled without vector registers.
#include "translate.h"

#include "arch.h"
#include "memory.h"
#include "plan.h"
#include "probe.h"
#include "provider.h"

#include <errno.h>
#include <linux/sched.h>
#include <sys/syscall.h>

uint32_t shim_nr = __NR_clone2;

enum { MAX_ATTEMPTS = 32 }; // with pids of our choice, before the program gets EBUSY

// Makes the real call, to a patched kernel or a supervisor.
static long pass_on(struct shim_call *call, uint64_t nr)
{
    struct shim_kernel_call *kernel = &call->kernel;
    *kernel = (struct shim_kernel_call){0};
    kernel->nr = nr;
    kernel->arg[0] = call->program_args[0];
    kernel->arg[1] = call->program_args[1];
    kernel->arg[SHIM_PASS_ON_ARG] = SHIM_PASS_ON;
    kernel->arg[SHIM_TLS_ARG] = call->request.tls;
    kernel->child_sp = call->request.child_stack;
    call->passed_on = true;
    return SHIM_MAKE_CALL;
}

static long pick(struct shim_call *call)
{
    while (++call->attempts <= MAX_ATTEMPTS) {
        const enum shim_picked picked = shim_probe_pick(&call->kernel.plan);
        if (picked == SHIM_PICKED) {
            return SHIM_MAKE_CALL;
        }
        if (picked == SHIM_BUSY) {
            break;
        }
    }
    return -EBUSY;
}

// Runs after args has been read.
static long decide(struct shim_call *call, uint64_t tls)
{
    const struct clone_struct *args = &call->args;
    struct plan_request *request = &call->request;
    request->flags = args->flags;
    request->child_stack = (uintptr_t)args->child_stack; // as wide as clone(2)'s register
    request->stack_size = 0;
    request->pidfd = args->parent_tid; // one field, as clone(2) has it
    request->parent_tid = args->parent_tid;
    request->child_tid = args->child_tid;
    request->tls = tls;
    request->nr_pids = args->nr_pids;
    call->passed_on = false;
    call->attempts = 0;
    if (shim_kernel_has_clone2()) {
        return pass_on(call, __NR_clone2);
    }
    const size_t size = args->nr_pids * sizeof request->pids[0];
    request->pids_readable = size == 0 || (args->nr_pids <= PLAN_MAX_PIDS &&
                                           shim_read(call->program_args[1], request->pids, size));
    struct plan_facts facts = {0};
    const bool needed = clone2_plan_needs_facts(request);
    if (needed) {
        facts = shim_probe_facts(args->nr_pids);
    }
    const int error = shim_plan(request, needed ? &facts : NULL, &call->kernel);
    if (error) {
        return -error;
    }
    return call->kernel.plan.to_pick ? pick(call) : SHIM_MAKE_CALL;
}

long shim_prepare(struct shim_call *call, uint64_t args, uint64_t pids, uint64_t tls)
{
    call->program_nr = shim_nr;
    call->program_args[0] = args;
    call->program_args[1] = pids;
    if (!shim_read(args, &call->args, sizeof call->args)) {
        return -EFAULT;
    }
    return decide(call, tls);
}

long shim_prepare_from_c(struct shim_call *call, uint64_t args, uint64_t pids, uint64_t stack_top)
{
    struct clone_struct *copy = &call->args;
    call->program_nr = shim_nr;
    call->program_args[0] = (uint64_t)(uintptr_t)copy;
    call->program_args[1] = pids;
    if (!shim_read(args, copy, sizeof *copy)) {
        return -EFAULT;
    }
    if (copy->flags & CLONE_SETTLS) {
        return -EINVAL;
    }
    if (stack_top) {
        copy->child_stack = stack_top;
    }
    return decide(call, 0);
}

long shim_judge(struct shim_call *call, long error)
{
    const uint32_t nr_pids = call->request.nr_pids;
    if (call->passed_on) {
        return error;
    }
    // No clone3: forbidden, or older than set_tid.
    if (call->kernel.clone3 && (error == -ENOSYS || error == -E2BIG)) {
        return pass_on(call, call->program_nr);
    }
    if (nr_pids == 0) {
        return error;
    }
    const struct plan_facts facts = shim_probe_facts(nr_pids);
    const struct plan_refusal refusal = clone2_plan_judge(nr_pids, &facts, (int)-error);
    // Was it a pid of our choice or of the program's? If our choices are still free, it was the
    // program's.
    if (refusal.reason == PLAN_PID_IN_USE && call->kernel.plan.to_pick &&
        !shim_probe_still_free(&call->kernel.plan)) {
        return pick(call);
    }
    return -refusal.err;
}
