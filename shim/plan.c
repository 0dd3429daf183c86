// SPDX-License-Identifier: MIT
#include "plan.h"

#include "arch.h"

#include <linux/sched.h>
#include <sys/syscall.h>

int shim_plan(const struct plan_request *request, const struct plan_facts *facts,
              struct shim_kernel_call *call)
{
    struct plan_call *plan = &call->plan;
    *call = (struct shim_kernel_call){0};
    const int error = clone2_plan(request, facts, SHIM_USER_END, plan).err;
    if (error) {
        return error;
    }
    call->child_sp = request->child_stack;
    call->clone3 = !plan->plain;
    if (plan->plain) {
        call->nr = SYS_clone;
        shim_arch_clone_args(call->arg, plan->flags, plan->child_sp, plan->parent_tid,
                             plan->child_tid, plan->tls);
        return 0;
    }
    if (plan->set_tid_size) {
        plan->set_tid_address = (uint64_t)(uintptr_t)plan->set_tid;
    }
    call->nr = SYS_clone3;
    call->arg[0] = (uint64_t)(uintptr_t)plan;
    call->arg[1] = CLONE_ARGS_SIZE_VER1;
    return 0;
}
