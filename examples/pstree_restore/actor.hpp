// SPDX-License-Identifier: MIT
// One process of a restoration: what it does when it is told to, and how it is told.
#pragma once

#include "plan.hpp"

#include <atomic>
#include <cstdint>

namespace pstree
{

/// A process's letter box, in memory that all share. `turn` is a futex.
struct Slot {
    static constexpr std::uint32_t unborn = 0, waiting = 1, commanded = 2;
    std::atomic<std::uint32_t> turn;
    std::size_t step; ///< index into Plan::steps
    char error[256];  ///< why that step failed; empty: it didn't

    void set_turn(std::uint32_t value); ///< and wakes who waits for it
    /// Waits while `turn` is `value`; false when that took as long as it may. May return early.
    bool wait_while(std::uint32_t value, int milliseconds);
};

class Actor
{
public:
    /// `slots`, one for each node, are shared by parent and children through fork.
    Actor(const Plan &plan, Slot *slots, long number) : plan_(plan), slots_(slots), number_(number)
    {
    }

    /// Does `step` as the calling process. True in a process that it created: that one has to
    /// call live().
    bool perform(const Step &step);
    /// Does what it is told until it is told to exit.
    [[noreturn]] void live(std::size_t node);

private:
    void introduce(std::size_t node);
    bool give_birth(const Step &step);
    void start_threads(const Process &node) const;
    [[nodiscard]] std::size_t level() const { return plan_.nodes[self_].pids.size() - 1; }

    const Plan &plan_;
    Slot *slots_;
    long number_; // clone2's
    std::size_t self_ = restorer;
    bool settled_ = false;
};

} // namespace pstree
