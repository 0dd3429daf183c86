// SPDX-License-Identifier: MIT
//
// How the kernel handles SIGSYS (kernel/signal.c):
//
//  - A SIGSYS caused by a system call (a seccomp filter, syscall user dispatch) is forced: if it is
//    ignored, blocked or has no handler, it kills.
//  - A SIGSYS sent by a process is ignored, stays pending while blocked, or kills if it has no
//    handler.
//  - The handler runs with its sa_mask and SIGSYS itself blocked.
//
// This runs in signal handlers: raw system calls only, no errno. Thread-local storage is used only
// for a SIGSYS that is not ours, never for a clone2.
#define _GNU_SOURCE
#include "own.h"

#include "base/arch/native.h"
#include "context.h"
#include "trap.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

enum { KERNEL_MASK_SIZE = 8, ACTIONS = 64 };

#define MASK_OF_SIGSYS (1ULL << (SIGSYS - 1))

static bool started;

// A new action is written to an unused entry, then becomes the current one. So a thread that is
// interrupted or forks in between holds no lock. Assumes fewer than 64 threads that set one at
// once.
static struct sigaction actions[ACTIONS];
static uint32_t written;
static uint32_t current;

static __thread struct {
    bool blocked;
    bool pending;
    int32_t tid; // the thread it is pending for: a fork child has no pending signals
    siginfo_t info;
    const char *frame; // frame of the program's running handler
} own __attribute__((tls_model("initial-exec")));

static void set_action(const struct sigaction *action, struct sigaction *old)
{
    const uint32_t at = __atomic_add_fetch(&written, 1, __ATOMIC_RELAXED) % ACTIONS;
    actions[at] = *action;
    const uint32_t before = __atomic_exchange_n(&current, at, __ATOMIC_ACQ_REL);
    if (old) {
        *old = actions[before];
    }
}

void shim_own_action(const struct sigaction *action, struct sigaction *old)
{
    if (action) {
        set_action(action, old);
    } else if (old) {
        *old = actions[__atomic_load_n(&current, __ATOMIC_ACQUIRE)];
    }
}

static void change_mask(int how, uint64_t mask)
{
    raw_call(SYS_rt_sigprocmask, how, &mask, 0, KERNEL_MASK_SIZE);
}

static void queue(const siginfo_t *info)
{
    const long process = raw_call(SYS_getpid);
    const long thread = raw_call(SYS_gettid);
    raw_call(SYS_rt_tgsigqueueinfo, process, thread, SIGSYS, info);
}

// Dies from the default action, with the same siginfo, once our handler has returned.
static void die(const siginfo_t *info)
{
    const struct shim_kernel_sigaction none = {0};
    raw_call(SYS_rt_sigaction, SIGSYS, &none, 0, KERNEL_MASK_SIZE);
    queue(info);
}

void shim_own_start(const struct sigaction *action, bool blocked)
{
    set_action(action, NULL);
    own.blocked = blocked;
    started = true;
}

bool shim_own_started(void)
{
    return started;
}

bool shim_own_blocked(void)
{
    return own.blocked;
}

bool shim_own_pending(void)
{
    return started && own.pending && own.tid == (int32_t)raw_call(SYS_gettid);
}

static void queue_pending(void)
{
    const siginfo_t info = own.info;
    const bool pending = shim_own_pending();
    own.pending = false;
    if (pending) {
        queue(&info);
    }
}

void shim_own_block(bool blocked)
{
    own.blocked = blocked;
    if (!blocked && own.pending) {
        queue_pending();
    }
}

const sigset_t *shim_own_enter_wait(struct shim_own_wait *wait, const sigset_t *mask)
{
    wait->changed = started && mask;
    if (!wait->changed) {
        return mask;
    }
    wait->mask = *mask;
    sigdelset(&wait->mask, SIGSYS);
    wait->blocked = own.blocked;
    own.blocked = sigismember(mask, SIGSYS) == 1;
    wait->queued = !own.blocked && own.pending;
    if (wait->queued) {
        // It must end the wait.
        change_mask(SIG_BLOCK, MASK_OF_SIGSYS);
        queue_pending();
    }
    return &wait->mask;
}

void shim_own_leave_wait(const struct shim_own_wait *wait)
{
    if (!wait->changed) {
        return;
    }
    if (wait->queued) {
        change_mask(SIG_UNBLOCK, MASK_OF_SIGSYS);
    }
    shim_own_block(wait->blocked);
}

// Whether the program's handler is running and has not been left by a jump.
static bool is_in_handler(const void *context)
{
    const char *sp = shim_context_stack_pointer(context);
    return own.frame && sp < own.frame && own.frame - sp < SHIM_ALTERNATE_STACK_SIZE;
}

static void call_handler(const struct sigaction *action, siginfo_t *info, ucontext_t *context)
{
    uint64_t interrupted = 0;
    uint64_t mask = 0;
    memcpy(&interrupted, &context->uc_sigmask, sizeof interrupted);
    memcpy(&mask, &action->sa_mask, sizeof mask);
    const char *outer = own.frame;
    if (!(action->sa_flags & SA_NODEFER)) {
        own.frame = __builtin_frame_address(0);
    }
    change_mask(SIG_SETMASK, (mask | interrupted) & ~MASK_OF_SIGSYS);
    if (action->sa_flags & SA_SIGINFO) {
        action->sa_sigaction(SIGSYS, info, context);
    } else {
        action->sa_handler(SIGSYS);
    }
    change_mask(SIG_SETMASK, ~0ULL);
    own.frame = outer;
    // The handler may have changed the mask that the program resumes with.
    const bool blocked = sigismember(&context->uc_sigmask, SIGSYS) == 1;
    sigdelset(&context->uc_sigmask, SIGSYS);
    shim_own_block(blocked);
}

static bool is_function(const struct sigaction *action)
{
    return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

void shim_own_deliver(siginfo_t *info, void *context)
{
    struct sigaction action;
    shim_own_action(NULL, &action);
    const bool forced = info->si_code > 0;
    const bool blocked = own.blocked || is_in_handler(context);
    if (blocked && !forced) {
        if (!own.pending) {
            own.info = *info;
            own.tid = (int32_t)raw_call(SYS_gettid);
            own.pending = true;
        }
        return;
    }
    if (is_function(&action) && !blocked) {
        if (action.sa_flags & (int)SA_RESETHAND) {
            const struct sigaction none = {.sa_handler = SIG_DFL};
            set_action(&none, NULL);
        }
        call_handler(&action, info, context);
    } else if (forced || action.sa_handler != SIG_IGN) {
        die(info);
    }
}
