// SPDX-License-Identifier: MIT
#pragma once

#include <csignal>

namespace clone2
{

/// Holds signals back on the calling thread until destruction, all but those that a fault of the
/// thread itself raises: around what a handler of somebody else's must not come in between (it may
/// wait for children, or never return), and around the start of threads that are to handle none.
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
