// SPDX-License-Identifier: MIT
#include "plan/planner.hpp"

#include "base/printable.hpp"
#include "plan/flags.hpp"

#include <algorithm>
#include <cerrno>
#include <linux/sched.h>

namespace clone2
{

namespace
{

constexpr std::uint64_t new_namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                         CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

/// Those of the upper half that clone2 does not know.
constexpr std::uint64_t unknown_flags = ~0ULL << 32U & ~CLONE_CLEAR_SIGHAND;

/// Without those that we have picked. Some are asked for.
pid_t highest_asked(const CloneCall &call)
{
    pid_t highest = 0;
    for (std::size_t i = 0; i < call.set_tid_size; ++i) {
        if ((call.to_pick & (1ULL << i)) == 0) {
            highest = std::max(highest, call.set_tid[i]);
        }
    }
    return highest;
}

std::string kernel_refused(const CloneCall &call, int err)
{
    const std::string name = call.plain ? "clone" : "clone3";
    switch (err) {
    case EINVAL: {
        const std::string conflict = conflict_of_flags(call.flags);
        return !conflict.empty()       ? conflict
               : call.set_tid_size > 0 ? "flags (see clone(2)), or a pid not below its namespace's "
                                         "pid_max: the highest "
                                         "that was asked for is " +
                                             std::to_string(highest_asked(call))
                                       : "flags (see clone(2))";
    }
    case EPERM:
        if ((call.flags & new_namespaces) != 0) {
            return "flags need a privilege (" + describe_flags(call.flags & new_namespaces) +
                   ", see clone(2)), or another seccomp filter refuses " + name + " to the target";
        }
        return name + " is refused in the target by another seccomp filter or a security module";
    case EAGAIN:
        return "too many processes (see clone(2))";
    case ENOSYS:
        return name + " is refused in the target by " +
               (call.plain ? "" : "a kernel before 5.5 or by ") + "another seccomp filter";
    default:
        return name + " failed in the target";
    }
}

std::string why(const plan_refusal &refusal, const CloneCall &call, std::uint64_t flags,
                std::uint32_t nr_pids, unsigned level)
{
    switch (refusal.reason) {
    case PLAN_UNKNOWN_FLAGS:
        return "unknown upper flags: " + describe_flags(flags & unknown_flags);
    case PLAN_INTO_CGROUP:
        return "CLONE_INTO_CGROUP needs a field that clone_struct lacks";
    case PLAN_BEYOND_NESTING:
        return std::to_string(nr_pids) + " pids, more than pid namespaces can nest (" +
               std::to_string(max_pids) + ")";
    case PLAN_BEYOND_LEVEL:
        return std::to_string(nr_pids) + " pids for " + std::to_string(level + 1) +
               " nested pid namespaces";
    case PLAN_UNPRIVILEGED:
        return "neither CAP_SYS_ADMIN nor CAP_CHECKPOINT_RESTORE over every pid namespace asked "
               "for";
    case PLAN_DETACHED_PIDFD:
        return "CLONE_DETACHED with CLONE_PIDFD";
    case PLAN_BEYOND_SET_TID:
        return "clone3 accepts at most 32 pids: the oldest entry must be 0";
    case PLAN_PID_IN_USE:
        return "a pid asked for is in use";
    case PLAN_PIDS_UNREADABLE: // see plan()
    case PLAN_KERNEL:
    case PLAN_NO_REASON:
        break;
    }
    return kernel_refused(call, refusal.err);
}

} // namespace

bool needs_facts(const Request &request)
{
    return clone2_plan_needs_facts(&request);
}

Refusal unreadable(std::string_view part, std::size_t size, std::uint64_t address)
{
    return {EFAULT, std::string(part) + " unreadable: " + std::to_string(size) + " bytes at " +
                        hex(address)};
}

Plan plan(const Request &request, const std::optional<Facts> &facts, std::uint64_t user_end)
{
    CloneCall call;
    const plan_refusal refusal = clone2_plan(&request, facts ? &*facts : nullptr, user_end, &call);
    if (refusal.reason == PLAN_PIDS_UNREADABLE) {
        return unreadable("pids", request.asked().size_bytes(), request.pids_address);
    }
    if (refusal.err != 0) {
        return Refusal{refusal.err, why(refusal, call, request.flags, request.nr_pids,
                                        facts ? facts->level : 0)};
    }
    return call;
}

Refusal judge_failure(const CloneCall &call, std::uint32_t nr_pids, const Facts &facts, int err)
{
    const plan_refusal refusal = clone2_plan_judge(nr_pids, &facts, err);
    return {refusal.err, why(refusal, call, call.flags, nr_pids, facts.level)};
}

} // namespace clone2
