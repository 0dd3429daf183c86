// SPDX-License-Identifier: MIT
#pragma once

#include <csignal>

namespace clone2
{

/// Blocks signals on the calling thread until destruction, except those that the thread's own
/// faults raise. Used around sections that a program's signal handler must not interrupt (it may
/// wait for children, or never return), and around the start of threads that must not handle
/// signals.
class HeldSignals
{
public:
    HeldSignals() noexcept;
    HeldSignals(const HeldSignals &) = delete;
    HeldSignals &operator=(const HeldSignals &) = delete;
    ~HeldSignals();

private:
    sigset_t before_;
};

} // namespace clone2
