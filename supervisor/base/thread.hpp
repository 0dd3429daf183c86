// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <optional>
#include <pthread.h>

namespace clone2
{

/// A thread of ours. It handles no signals (HeldSignals), and its stack has a fixed size: the
/// default is RLIMIT_STACK, which is set for PROGRAM and may be more than there is to map.
class Thread
{
public:
    /// Enough for callbacks of an embedding program, and for sanitizers.
    static constexpr std::size_t stack_size = 1U << 20;

    Thread() = default;
    /// `work` must not throw. Throws std::system_error.
    explicit Thread(std::function<void()> work);
    Thread(const Thread &) = delete;
    Thread &operator=(const Thread &) = delete;
    /// Waits for its end.
    ~Thread();

    void detach();

private:
    std::optional<pthread_t> thread_;
};

} // namespace clone2
