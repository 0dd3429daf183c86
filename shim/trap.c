// SPDX-License-Identifier: MIT
//
// A seccomp filter answers clone2's number with SECCOMP_RET_TRAP, and the SIGSYS handler decides
// what to do. It does not create the child itself: with CLONE_VM its own frame would be on a stack
// that parent and child share. Instead it sets the registers for the trampoline and returns. The
// kernel then restores everything else (mask, vector registers, alternate stack), so the system
// call happens in the program's own state, except for the instruction pointer.
//
// Runs in signal handlers, in any thread: raw system calls only, no errno.
#include "trap.h"

#include "arch.h"
#include "base/arch/native.h"
#include "context.h"
#include "filter/seccomp_filter.h"
#include "own.h"
#include "slots.h"
#include "threads.h"
#include "translate.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

// siginfo's si_code for SECCOMP_RET_TRAP. Only the kernel's headers define it, and they conflict
// with libc's.
#define CODE_SECCOMP 1

enum { KERNEL_MASK_SIZE = 8 };

static void begin(void *context)
{
    struct shim_slot *slot = shim_slot_take();
    if (!slot) {
        shim_context_set_result(context, -EAGAIN);
        return;
    }
    const uint64_t *arg = slot->saved;
    shim_context_save(context, slot);
    const long result = shim_prepare(&slot->call, arg[0], arg[1], arg[SHIM_TLS_ARG]);
    if (result != SHIM_MAKE_CALL) {
        shim_context_set_result(context, result);
        shim_slot_give_back(slot);
        return;
    }
    const uint64_t flags = slot->call.args.flags;
    slot->reinstall = flags & CLONE_CLEAR_SIGHAND ? (uint64_t)(uintptr_t)&shim_sigsys_action : 0;
    if (!shim_context_share(slot, flags & CLONE_VM)) {
        shim_context_set_result(context, -EAGAIN);
        shim_slot_give_back(slot);
        return;
    }
    shim_context_enter_trampoline(context, slot);
}

static void judge(void *context, struct shim_slot *slot)
{
    const long result = shim_judge(&slot->call, slot->result);
    if (result == SHIM_MAKE_CALL) {
        shim_context_enter_trampoline(context, slot);
        return;
    }
    shim_context_restore(context, slot);
    shim_context_set_result(context, result);
    shim_slot_give_back(slot);
}

static void handle(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    if (info->si_code != CODE_SECCOMP || (uint32_t)info->si_syscall != shim_nr ||
        info->si_arch != NATIVE_AUDIT_ARCH) {
        shim_own_deliver(info, context);
        return;
    }
    struct shim_slot *failed = shim_context_failed_slot(context);
    if (failed) {
        judge(context, failed);
    } else {
        begin(context);
    }
}

// All other signals are blocked: the program's handler could call clone2 while SIGSYS is blocked,
// and the kernel would kill it.
struct shim_kernel_sigaction shim_sigsys_action = {
    .handler = handle,
    .flags = SA_SIGINFO | SA_ONSTACK | SHIM_SA_RESTORER,
    .restorer = shim_restore,
    .mask = ~0ULL,
};

static long install_handler(struct shim_kernel_sigaction *old)
{
    return raw_call(SYS_rt_sigaction, SIGSYS, &shim_sigsys_action, old, KERNEL_MASK_SIZE);
}

bool shim_trap_unblock(void)
{
    const uint64_t sigsys = 1ULL << (SIGSYS - 1);
    uint64_t old = 0;
    raw_call(SYS_rt_sigprocmask, SIG_UNBLOCK, &sigsys, &old, KERNEL_MASK_SIZE);
    return old & sigsys;
}

// A call must not change the stack, nor need one. Fork children inherit the alternate stack.
static void install_alternate_stack(void)
{
    static unsigned char memory[SHIM_ALTERNATE_STACK_SIZE] __attribute__((aligned(64)));
    stack_t old = {0};
    const stack_t ours = {.ss_sp = memory, .ss_size = sizeof memory};
    if (raw_call(SYS_sigaltstack, 0, &old) == 0 && (old.ss_flags & SS_DISABLE)) {
        raw_call(SYS_sigaltstack, &ours);
    }
}

// A prctl() that no kernel knows. Our filter answers it with EALREADY if it is given the filter's
// number. This finds the filter after an exec without calling that number, which may have another
// use.
#define ASK_FOR_FILTER 0x32656e6fU

static bool has_filter(void)
{
    return raw_call(SYS_prctl, ASK_FOR_FILTER, shim_nr) == -EALREADY;
}

// Syscall user dispatch would send SIGSYS for the system calls of our handler and its return. So it
// is refused as by a kernel without it (before 5.11).
#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

// One argument identifies our own calls. The instruction pointer can't: the filter survives
// an exec, after which this library is elsewhere.
static long install_filter(void)
{
    struct sock_filter steps[18];
    struct sock_fprog program = {0, steps};
    filter_load(&program, arch);
    filter_if_equal(&program, NATIVE_AUDIT_ARCH, 0, 14);
    filter_load(&program, nr);
    filter_if_equal(&program, SYS_prctl, 6, 0);
    filter_if_equal(&program, shim_nr, 0, 11);
    filter_load(&program, args[SHIM_PASS_ON_ARG]);
    filter_if_equal(&program, (uint32_t)SHIM_PASS_ON, 0, 2);
    filter_load_upper(&program, args[SHIM_PASS_ON_ARG]);
    filter_if_equal(&program, (uint32_t)(SHIM_PASS_ON >> 32), 7, 0);
    filter_answer(&program, SECCOMP_RET_TRAP);
    filter_load(&program, args[0]); // prctl
    filter_if_equal(&program, PR_SET_SYSCALL_USER_DISPATCH, 5, 0);
    filter_if_equal(&program, ASK_FOR_FILTER, 0, 3);
    filter_load(&program, args[1]);
    filter_if_equal(&program, shim_nr, 0, 1);
    filter_answer(&program, SECCOMP_RET_ERRNO | EALREADY);
    filter_answer(&program, SECCOMP_RET_ALLOW);
    filter_answer(&program, SECCOMP_RET_ERRNO | EINVAL);
    struct filter_options how = {.flags = SECCOMP_FILTER_FLAG_TSYNC, .may_set_no_new_privs = 1};
    const long result = filter_install(&program, &how);
    return result > 0 ? -EBUSY : result; // a thread that could not be synchronised
}

long shim_trap_install(void)
{
    struct shim_kernel_sigaction old = {0};
    long error = shim_context_start();
    if (error == 0) {
        error = install_handler(&old);
    }
    if (error) {
        return error;
    }
    struct sigaction action = {.sa_sigaction = old.handler,
                               .sa_flags = (int)old.flags & ~SHIM_SA_RESTORER};
    memcpy(&action.sa_mask, &old.mask, sizeof old.mask);
    shim_own_start(&action, shim_trap_unblock());
    shim_threads_start();
    install_alternate_stack();
    return has_filter() ? 0 : install_filter();
}
