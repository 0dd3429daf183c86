// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <optional>
#include <pthread.h>

namespace clone2
{

/// A thread that handles no signals (HeldSignals). Its stack size is fixed, because the default is
/// RLIMIT_STACK: that is set for PROGRAM and may be more than can be mapped.
class Thread
{
public:
    /// Enough for an embedding program's callbacks, and for sanitizers.
    static constexpr std::size_t stack_size = 1U << 20;

    Thread() = default;
    /// `work` must not throw. Throws std::system_error.
    explicit Thread(std::function<void()> work);
    Thread(const Thread &) = delete;
    Thread &operator=(const Thread &) = delete;
    /// Joins the thread.
    ~Thread();

    void detach();

private:
    std::optional<pthread_t> thread_;
};

} // namespace clone2
