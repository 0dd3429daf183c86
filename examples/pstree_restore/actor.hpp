// SPDX-License-Identifier: MIT
// One process of a restoration: how it gets its commands and what it does.
#pragma once

#include "plan.hpp"

#include <atomic>
#include <cstdint>

namespace pstree
{

/// A process's mailbox, in memory that all share. `turn` is a futex.
struct Slot {
    static constexpr std::uint32_t unborn = 0, waiting = 1, commanded = 2;
    std::atomic<std::uint32_t> turn;
    std::size_t step; ///< index into Plan::steps
    char error[256];  ///< why that step failed; empty: it succeeded

    void set_turn(std::uint32_t value); ///< also wakes the waiter
    /// Waits while `turn` is `value`; false: timed out. May return early.
    bool wait_while(std::uint32_t value, int milliseconds);
};

class Actor
{
public:
    /// Parent and children share `slots`, one per node, through fork.
    Actor(const Plan &plan, Slot *slots, long number) : plan_(plan), slots_(slots), number_(number)
    {
    }

    /// Performs `step` as the calling process. Returns true in a process that it created, which
    /// must then call live().
    bool perform(const Step &step);
    /// Performs the steps it is given until it is told to exit.
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
