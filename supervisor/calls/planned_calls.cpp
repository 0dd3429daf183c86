// SPDX-License-Identifier: MIT
#include "calls/planned_calls.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <tuple>

namespace clone2
{

namespace
{

auto members(const CloneCall &call)
{
    return std::tie(call.flags, call.pidfd, call.child_tid, call.parent_tid, call.exit_signal,
                    call.stack, call.stack_size, call.tls, call.child_sp, call.set_tid_size,
                    call.to_pick, call.plain);
}

} // namespace

bool PlannedCalls::Planned::is(const SlotCall &slot) const
{
    // Entries beyond those used hold remains of an earlier call.
    const pid_t *const begin = order.call.set_tid;
    return slot.request_flags == order.request_flags && slot.nr_pids == order.nr_pids &&
           slot.started_ns == order.started_ns && slot.attempts == attempts &&
           members(slot.call) == members(order.call) &&
           std::equal(begin, begin + order.call.set_tid_size, slot.call.set_tid);
}

void PlannedCalls::remember(pid_t tid, const Executor::Order &order, std::uint32_t attempts)
{
    const std::lock_guard lock(mutex_);
    planned_.insert_or_assign(tid, Planned{order, attempts});
    if (planned_.size() >= look_at_) {
        forget_ended();
        look_at_ = std::max(few_, 2 * planned_.size());
    }
}

std::optional<PlannedCalls::Planned> PlannedCalls::take(pid_t tid)
{
    const std::lock_guard lock(mutex_);
    const auto found = planned_.find(tid);
    if (found == planned_.end()) {
        return std::nullopt;
    }
    Planned planned = found->second;
    planned_.erase(found);
    return planned;
}

std::size_t PlannedCalls::size() const
{
    const std::lock_guard lock(mutex_);
    return planned_.size();
}

void PlannedCalls::forget_ended()
{
    // A call that succeeds without a report stays here until its thread makes another or ends.
    std::erase_if(planned_, [](const auto &planned) {
        return ::kill(planned.first, 0) != 0 && errno == ESRCH;
    });
}

} // namespace clone2
