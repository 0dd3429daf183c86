// SPDX-License-Identifier: MIT
// One process of a restoration: what it does when it is told to, and how it is told.
#pragma once

#include "plan.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace pstree
{

/// What a failed step was doing.
enum class Stage : std::int32_t {
    none,
    newborn,
    died,
    clone2,
    wrong_pid,
    enter_ns,
    setsid,
    setpgid,
    reap,
    subreaper,
    stacks,
    thread,
    settle
};

/// A process's letter box, in memory that all share. `turn` is a futex.
struct Slot {
    static constexpr std::uint32_t unborn = 0, waiting = 1, commanded = 2;
    std::atomic<std::uint32_t> turn;
    std::int32_t step; ///< index into Plan::steps, or one of the two below
    Stage stage;       ///< the answer
    std::int32_t error;
    std::int32_t detail; ///< Stage::thread: which one; Stage::wrong_pid: which pid
};
inline constexpr std::int32_t exit_now = -1;
inline constexpr std::int32_t settle_down = -2; ///< end with the parent from now on

/// Shared by parent and children through fork.
class Slots
{
public:
    explicit Slots(std::size_t count); ///< throws std::system_error
    Slots(const Slots &) = delete;
    Slots &operator=(const Slots &) = delete;
    ~Slots();
    [[nodiscard]] Slot &operator[](int node) const { return slots_[node]; }

private:
    Slot *slots_;
    std::size_t size_;
};

/// Waits while `word` is `value`; false when that took as long as it may. May return early.
bool futex_wait(std::atomic<std::uint32_t> &word, std::uint32_t value, int milliseconds);
void futex_wake(std::atomic<std::uint32_t> &word);

struct Outcome {
    Stage stage = Stage::none;
    int error = 0;
    int detail = 0;
};

class Actor
{
public:
    Actor(const Plan &plan, const Slots &slots, long number)
        : plan_(plan), slots_(slots), number_(number)
    {
    }

    /// Does `step` as the calling process. Returns Stage::newborn in a process that it created:
    /// that has to call live().
    Outcome perform(const Step &step);
    /// Does what it is told until it is told to exit.
    [[noreturn]] void live(int node);

private:
    void introduce(int node);
    Outcome give_birth(const Step &step);
    Outcome start_threads(const Node &node) const;
    [[nodiscard]] std::size_t level() const;

    const Plan &plan_;
    const Slots &slots_;
    long number_;
    int self_ = restorer;
};

} // namespace pstree
