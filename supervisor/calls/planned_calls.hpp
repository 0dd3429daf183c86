// SPDX-License-Identifier: MIT
#pragma once

#include "executor/executor.hpp"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <sys/types.h>
#include <unordered_map>

namespace clone2
{

/// Remembers what each target was sent to do, to compare its report with. Nothing else depends on
/// it: the state of a call is in the target's memory, where the target can write, too.
///
/// A thread has one call at a time, and each is taken once, so that no report counts twice. There
/// is at most one entry per living thread. A successor of this process knows none of them.
/// Thread-safe.
class PlannedCalls
{
public:
    /// `few`: up to this many entries are kept without checking whether their threads live.
    explicit PlannedCalls(std::size_t few = 256) : look_at_(few), few_(few) {}

    /// Call it before the target is sent off. Replaces the thread's earlier entry.
    void remember(pid_t tid, const Executor::Order &order, std::uint32_t attempts = 0);

    struct Planned {
        Executor::Order order;
        std::uint32_t attempts = 0;

        /// Whether the slot still agrees.
        [[nodiscard]] bool is(const SlotCall &slot) const;
    };
    /// nullopt: none is known.
    [[nodiscard]] std::optional<Planned> take(pid_t tid);

    [[nodiscard]] std::size_t size() const;

private:
    void forget_ended();

    mutable std::mutex mutex_;
    std::unordered_map<pid_t, Planned> planned_;
    std::size_t look_at_; ///< the size at which ended threads are looked for
    const std::size_t few_;
};

} // namespace clone2
