// SPDX-License-Identifier: MIT
#include "plan/core.h"

#include <errno.h>
#include <linux/sched.h>
#include <stddef.h>

#define EXIT_SIGNAL 0xffULL
#define LOW_FLAGS 0xffffffffULL
#define DETACHED 0x00400000ULL // missing from some linux/sched.h
#define LAST_SIGNAL 64ULL

// clone3 takes base and size. The size is realistic because it also sizes a shadow stack.
#define STACK_SIZE (8ULL << 20)

#define SAME(member)                                                                               \
    _Static_assert(offsetof(struct plan_call, member) == offsetof(struct clone_args, member),      \
                   #member)
SAME(flags);
SAME(pidfd);
SAME(child_tid);
SAME(parent_tid);
SAME(exit_signal);
SAME(stack);
SAME(stack_size);
SAME(tls);
SAME(set_tid_size);
_Static_assert(offsetof(struct plan_call, set_tid_address) == offsetof(struct clone_args, set_tid),
               "set_tid");
_Static_assert(offsetof(struct plan_call, set_tid) == CLONE_ARGS_SIZE_VER1, "size");

static const struct plan_refusal not_refused = {0, PLAN_NO_REASON};

static struct plan_refusal refuse(int err, enum plan_reason reason)
{
    return (struct plan_refusal){err, reason};
}

// Checks what does not depend on namespaces.
static struct plan_refusal check_form(const struct plan_request *request)
{
    if (request->flags & ~LOW_FLAGS & ~CLONE_CLEAR_SIGHAND) {
        return refuse(EINVAL,
                      request->flags & CLONE_INTO_CGROUP ? PLAN_INTO_CGROUP : PLAN_UNKNOWN_FLAGS);
    }
    if (request->nr_pids > PLAN_MAX_PIDS) {
        return refuse(EINVAL, PLAN_BEYOND_NESTING);
    }
    return not_refused;
}

static bool fits(uint32_t nr_pids, const struct plan_facts *facts)
{
    return nr_pids <= facts->level + 1;
}

static bool may_choose(uint32_t nr_pids, const struct plan_facts *facts)
{
    return nr_pids == 0 || facts->privileged;
}

// An error of clone(2) that clone3 would not give for our arguments.
static bool clone_refuses(const struct plan_request *request)
{
    return (request->flags & DETACHED) && (request->flags & CLONE_PIDFD);
}

// Whether clone(2) can express everything but the pids.
static bool clone_can_say(const struct plan_request *request)
{
    return !(request->flags & CLONE_CLEAR_SIGHAND) && request->stack_size == 0 &&
           (!(request->flags & CLONE_PIDFD) || request->pidfd == request->parent_tid);
}

static bool has_zeros(const struct plan_request *request)
{
    for (uint32_t i = 0; i < request->nr_pids; i++) {
        if (request->pids[i] == 0) {
            return true;
        }
    }
    return false;
}

// Number of set_tid entries for the pids: the kernel chooses for trailing (oldest) zeros itself.
static uint32_t needed_entries(const struct plan_request *request)
{
    uint32_t n = request->nr_pids;
    for (uint32_t i = 0; n > 0 && request->pids[i] == 0; i++) {
        n--;
    }
    return n;
}

static bool overflows_set_tid(const struct plan_request *request)
{
    const uint32_t extra = request->flags & CLONE_NEWPID ? 1 : 0;
    return needed_entries(request) + extra > PLAN_MAX_SET_TID;
}

bool clone2_plan_needs_facts(const struct plan_request *request)
{
    if (request->nr_pids == 0 || check_form(request).err) {
        return false;
    }
    // Without zeros the kernel itself checks level and permission of each entry.
    return !request->pids_readable || has_zeros(request) || clone_refuses(request) ||
           overflows_set_tid(request);
}

// Field by field, because a compiler may clear a whole struct with memset().
static void start(const struct plan_request *request, struct plan_call *call)
{
    call->flags = 0;
    call->pidfd = 0;
    call->child_tid = request->child_tid;
    call->parent_tid = request->parent_tid;
    call->exit_signal = 0;
    call->stack = 0;
    call->stack_size = 0;
    call->tls = request->tls;
    call->set_tid_address = 0;
    call->set_tid_size = 0;
    call->child_sp = 0;
    call->to_pick = 0;
    call->plain = false;
}

static void set_flags(const struct plan_request *request, struct plan_call *call)
{
    call->flags = request->flags & ~EXIT_SIGNAL & ~DETACHED;
    call->exit_signal = request->flags & EXIT_SIGNAL;
    // clone(2) ignores the signal here; clone3 requires 0.
    if ((call->flags & (CLONE_THREAD | CLONE_PARENT)) || call->exit_signal > LAST_SIGNAL) {
        call->exit_signal = 0;
    }
    // If the ABI has one field for both, as clone(2) has, they are equal, and the kernel itself
    // refuses the two flags together.
    if (call->flags & CLONE_PIDFD) {
        call->pidfd = request->pidfd;
    }
}

static void set_stack(const struct plan_request *request, uint64_t user_end, struct plan_call *call)
{
    const uint64_t sp = request->child_stack;
    if (request->stack_size) {
        call->stack = sp;
        call->stack_size = request->stack_size;
        return;
    }
    if (sp == 0) {
        return;
    }
    if (sp < 2 || sp > user_end) {
        call->child_sp = sp;
        return;
    }
    call->stack_size = sp - 1 < STACK_SIZE ? sp - 1 : STACK_SIZE;
    call->stack = sp - call->stack_size;
}

static void set_pids(const struct plan_request *request, struct plan_call *call)
{
    const uint32_t entries = needed_entries(request);
    if (entries == 0) {
        return;
    }
    // The new namespace comes on top, and its first process must be 1.
    uint32_t n = 0;
    if (call->flags & CLONE_NEWPID) {
        call->set_tid[n++] = 1;
    }
    for (uint32_t i = 0; i < entries; i++) {
        const pid_t pid = request->pids[request->nr_pids - 1 - i];
        if (pid == 0) {
            call->to_pick |= 1ULL << n;
        }
        call->set_tid[n++] = pid;
    }
    call->set_tid_size = n;
}

struct plan_refusal clone2_plan(const struct plan_request *request, const struct plan_facts *facts,
                                uint64_t user_end, struct plan_call *call)
{
    const struct plan_refusal bad_form = check_form(request);
    if (bad_form.err) {
        return bad_form;
    }
    if (facts && !fits(request->nr_pids, facts)) {
        return refuse(EINVAL, PLAN_BEYOND_LEVEL);
    }
    if (request->nr_pids && !request->pids_readable) {
        return refuse(EFAULT, PLAN_PIDS_UNREADABLE);
    }
    if (facts && !may_choose(request->nr_pids, facts)) {
        return refuse(EPERM, PLAN_UNPRIVILEGED);
    }
    if (clone_refuses(request)) {
        return refuse(EINVAL, PLAN_DETACHED_PIDFD);
    }
    if (overflows_set_tid(request)) {
        return refuse(ENOSYS, PLAN_BEYOND_SET_TID);
    }

    start(request, call);
    // Without pids this is clone(2), with its meaning of all flags. Sandboxes that forbid clone3 (a
    // filter can't check its arguments) may allow clone(2).
    if (needed_entries(request) == 0 && clone_can_say(request)) {
        call->plain = true;
        call->flags = request->flags;
        call->child_sp = request->child_stack;
        return not_refused;
    }
    set_flags(request, call);
    set_stack(request, user_end, call);
    set_pids(request, call);
    return not_refused;
}

struct plan_refusal clone2_plan_judge(uint32_t nr_pids, const struct plan_facts *facts, int err)
{
    if (!fits(nr_pids, facts)) {
        return refuse(EINVAL, PLAN_BEYOND_LEVEL);
    }
    if (!may_choose(nr_pids, facts)) {
        return refuse(EPERM, PLAN_UNPRIVILEGED);
    }
    if (err == EEXIST) {
        return refuse(EBUSY, PLAN_PID_IN_USE);
    }
    return refuse(err, PLAN_KERNEL);
}

uint32_t clone2_plan_extra_entries(const struct plan_call *call)
{
    return (call->flags & CLONE_NEWPID) && call->set_tid_size ? 1 : 0;
}
