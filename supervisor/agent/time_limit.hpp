// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <ctime>

namespace clone2::agent
{

/// Interrupts the system calls of its thread with EINTR again and again, from start() to stop().
class TimeLimit
{
public:
    /// Call once per process, before any thread is created. Takes over SIGURG, which is otherwise
    /// unused here and ignored by default.
    static void prepare();
    [[nodiscard]] static TimeLimit &of_this_thread();

    TimeLimit(const TimeLimit &) = delete;
    TimeLimit &operator=(const TimeLimit &) = delete;
    ~TimeLimit();

    /// The first signal comes after `time`; it may arrive before the system call begins, so more
    /// follow.
    void start(std::chrono::nanoseconds time) { set(time); }
    void stop() { set(std::chrono::nanoseconds(0)); }

private:
    TimeLimit();
    void set(std::chrono::nanoseconds time);

    timer_t timer_{};
    bool made_ = false; ///< without a timer there is no limit
};

} // namespace clone2::agent
