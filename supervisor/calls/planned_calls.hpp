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

/// What each target was sent to do, to hold its report against. Nothing else depends on it: the
/// state of a call is in the target's memory, where the target can write, too.
///
/// A thread has one call at a time, and each is taken once: so no report comes twice. There is at
/// most one for each thread that lives. A successor of this process knows none of them.
/// Thread-safe.
class PlannedCalls
{
public:
    /// `few`: so many are kept without asking who lives.
    explicit PlannedCalls(std::size_t few = 256) : look_at_(few), few_(few) {}

    /// Before the target is sent off. Takes the place of an earlier one of this thread.
    void remember(pid_t tid, const Executor::Order &order, std::uint32_t attempts = 0);

    struct Planned {
        Executor::Order order;
        std::uint32_t attempts = 0;

        /// Whether the slot still says so.
        [[nodiscard]] bool is(const SlotCall &slot) const;
    };
    /// nullopt: none is known.
    [[nodiscard]] std::optional<Planned> take(pid_t tid);

    [[nodiscard]] std::size_t size() const;

private:
    void forget_ended();

    mutable std::mutex mutex_;
    std::unordered_map<pid_t, Planned> planned_;
    std::size_t look_at_; ///< the size at which the ended ones are looked for
    const std::size_t few_;
};

} // namespace clone2
