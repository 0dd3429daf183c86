// SPDX-License-Identifier: MIT
#pragma once

#include <ctime>

namespace clone2::agent
{

/// Interrupts a system call of its thread with EINTR after some milliseconds.
///
/// Used around RECV on a listener of which a peer may have kept a copy: if both are woken and the
/// peer is faster, our RECV would wait for the next call, which may never come, and block
/// everything else.
class ReceiveLimit
{
public:
    /// Call once per process, before any thread is created. Takes over SIGURG, which is otherwise
    /// unused here and ignored by default.
    static void prepare();
    [[nodiscard]] static ReceiveLimit &of_this_thread();

    ReceiveLimit(const ReceiveLimit &) = delete;
    ReceiveLimit &operator=(const ReceiveLimit &) = delete;
    ~ReceiveLimit();

    void start();
    void stop();

private:
    ReceiveLimit();

    timer_t timer_{};
    bool made_ = false; ///< without a timer there is no limit
};

} // namespace clone2::agent
