// SPDX-License-Identifier: MIT
#pragma once

#include <ctime>

namespace clone2::agent
{

/// Interrupts a system call of its thread that takes longer than some milliseconds, with EINTR.
///
/// For RECV on a listener that a peer has kept a copy of: where both are woken and the peer is
/// faster, our RECV would wait for the next call, which may never come, and hold up everybody.
class ReceiveLimit
{
public:
    /// Once in the process, before any other thread is made: takes SIGURG, which nobody else
    /// here uses and which by default does nothing.
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
