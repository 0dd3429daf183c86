// SPDX-License-Identifier: MIT
#include "plan/planner.hpp"

#include <algorithm>
#include <cerrno>
#include <linux/sched.h>

namespace clone2
{

namespace
{

constexpr std::uint64_t exit_signal_mask = 0xff;
constexpr std::uint64_t legacy_flags = 0xffffffff;
constexpr std::uint64_t clone_detached = 0x00400000; // no longer in every linux/sched.h
constexpr std::uint64_t last_signal = 64;
constexpr std::uint64_t new_namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                         CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
constexpr std::uint32_t max_set_tid = 32; // the kernel's MAX_PID_NS_LEVEL

/// clone3 wants base and size. A realistic size: it also sizes a CET shadow stack.
constexpr std::uint64_t stack_size = 8ULL << 20;
/// The end of user addresses with 4-level page tables (x86-64's TASK_SIZE_MAX): beyond it clone3
/// may refuse what clone(2) takes.
constexpr std::uint64_t user_end = (1ULL << 47) - 4096;

std::string too_many_pids(std::uint32_t nr_pids, unsigned level)
{
    return std::to_string(nr_pids) + " pids for " + std::to_string(level + 1) +
           " nested pid namespaces";
}

/// Steps 3 and 5 of SPEC.md's list (4 lies between them, see plan()).
std::optional<Refusal> check_level(std::uint32_t nr_pids, const Facts &facts)
{
    if (nr_pids > facts.level + 1) {
        return Refusal{EINVAL, too_many_pids(nr_pids, facts.level)};
    }
    return std::nullopt;
}

std::optional<Refusal> check_privilege(std::uint32_t nr_pids, const Facts &facts)
{
    if (nr_pids > 0 && !facts.privileged) {
        return Refusal{EPERM, "neither CAP_SYS_ADMIN nor CAP_CHECKPOINT_RESTORE over every pid "
                              "namespace asked for"};
    }
    return std::nullopt;
}

/// An error of clone(2) (step 6) that clone3, called as we call it, would not give.
std::optional<Refusal> clone_error(const Request &request)
{
    if ((request.flags & clone_detached) != 0 && (request.flags & CLONE_PIDFD) != 0) {
        return Refusal{EINVAL, "CLONE_DETACHED with CLONE_PIDFD"};
    }
    return std::nullopt;
}

/// set_tid entries that clone3 needs: trailing (oldest) zeros are the kernel's own choice.
std::uint32_t needed_entries(const Request &request)
{
    const std::span<const pid_t> asked = request.asked();
    const auto first = std::find_if(asked.begin(), asked.end(), [](pid_t pid) { return pid != 0; });
    return static_cast<std::uint32_t>(asked.end() - first);
}

void set_flags(const Request &request, CloneCall &call)
{
    call.flags = request.flags & ~exit_signal_mask & ~clone_detached;
    call.exit_signal = request.flags & exit_signal_mask;
    // Where clone(2) ignores the signal, clone3 insists on 0.
    if ((call.flags & (CLONE_THREAD | CLONE_PARENT)) != 0 || call.exit_signal > last_signal) {
        call.exit_signal = 0;
    }
    call.tls = request.tls;
    call.child_tid = request.child_tid;
    call.parent_tid = request.parent_tid;
    // Where the ABI has one field for both, as clone(2) has, they are equal, and the kernel itself
    // refuses the two flags together.
    if ((call.flags & CLONE_PIDFD) != 0) {
        call.pidfd = request.pidfd;
    }
}

void set_stack(const Request &request, CloneCall &call)
{
    if (request.stack_size != 0) {
        call.stack = request.child_stack;
        call.stack_size = request.stack_size;
        return;
    }
    const std::uint64_t sp = request.child_stack;
    if (sp == 0) {
        return;
    }
    if (sp < 2 || sp > user_end) {
        call.child_sp = sp;
        return;
    }
    call.stack_size = std::min(sp - 1, stack_size);
    call.stack = sp - call.stack_size;
}

void set_pids(const Request &request, std::uint32_t entries, CloneCall &call)
{
    if (entries == 0) {
        return;
    }
    // The new namespace is extra, and its first process has to be 1.
    if ((call.flags & CLONE_NEWPID) != 0) {
        call.set_tid[call.set_tid_size++] = 1;
    }
    for (std::uint32_t i = 0; i < entries; ++i) {
        const pid_t pid = request.pids[request.nr_pids - 1 - i];
        if (pid == 0) {
            call.to_pick |= 1ULL << call.set_tid_size;
        }
        call.set_tid[call.set_tid_size++] = pid;
    }
}

} // namespace

bool needs_facts(const Request &request)
{
    if (request.nr_pids == 0 || request.nr_pids > max_pids) {
        return false;
    }
    const std::span<const pid_t> asked = request.asked();
    const std::uint32_t extra = (request.flags & CLONE_NEWPID) != 0 ? 1 : 0;
    // Without zeros the kernel checks level and permission itself, entry by entry.
    return !request.pids_readable || std::count(asked.begin(), asked.end(), 0) != 0 ||
           clone_error(request).has_value() || needed_entries(request) + extra > max_set_tid;
}

Plan plan(const Request &request, const std::optional<Facts> &facts)
{
    const std::uint64_t known_upper = CLONE_CLEAR_SIGHAND;
    if ((request.flags & ~legacy_flags & ~known_upper) != 0) {
        return Refusal{EINVAL, (request.flags & CLONE_INTO_CGROUP) != 0
                                   ? "CLONE_INTO_CGROUP needs a field that clone_struct lacks"
                                   : "unknown upper flags"};
    }
    if (request.nr_pids > max_pids) {
        return Refusal{EINVAL, std::to_string(request.nr_pids) +
                                   " pids, more than pid namespaces can nest"};
    }
    if (facts) {
        if (auto refusal = check_level(request.nr_pids, *facts)) {
            return *refusal;
        }
    }
    if (request.nr_pids != 0 && !request.pids_readable) {
        return Refusal{EFAULT, "pids unreadable"};
    }
    if (facts) {
        if (auto refusal = check_privilege(request.nr_pids, *facts)) {
            return *refusal;
        }
    }
    if (auto refusal = clone_error(request)) {
        return *refusal;
    }
    CloneCall call;
    set_flags(request, call);
    set_stack(request, call);
    const std::uint32_t entries = needed_entries(request);
    if (entries + ((call.flags & CLONE_NEWPID) != 0 ? 1 : 0) > max_set_tid) {
        return Refusal{ENOSYS, "clone3 takes at most 32 pids: the oldest entry must be 0"};
    }
    set_pids(request, entries, call);
    return call;
}

Refusal judge_failure(std::uint64_t flags, std::uint32_t nr_pids, const Facts &facts,
                      int clone3_err)
{
    if (auto refusal = check_level(nr_pids, facts)) {
        return *refusal;
    }
    if (auto refusal = check_privilege(nr_pids, facts)) {
        return *refusal;
    }
    switch (clone3_err) {
    case EEXIST:
        return Refusal{EBUSY, "a pid asked for is in use"};
    case EINVAL:
        return Refusal{EINVAL, nr_pids > 0 ? "flags or pids out of range (see clone(2))"
                                           : "flags (see clone(2))"};
    case EPERM:
        if ((flags & new_namespaces) != 0) {
            return Refusal{EPERM,
                           "flags need a privilege (see clone(2)), or another seccomp filter "
                           "refuses clone3 to the target"};
        }
        return Refusal{EPERM, "clone3 is refused to the target, by another seccomp filter or a "
                              "security module"};
    case EAGAIN:
        return Refusal{EAGAIN, "too many processes (see clone(2))"};
    case ENOSYS:
        return Refusal{ENOSYS, "clone3 is refused to the target, by a kernel before 5.5 or by "
                               "another seccomp filter"};
    default:
        return Refusal{clone3_err, "clone3 failed in the target"};
    }
}

} // namespace clone2
