// SPDX-License-Identifier: MIT
#include "base/held_signals.hpp"

#include <initializer_list>

namespace clone2
{

HeldSignals::HeldSignals() noexcept : before_{}
{
    sigset_t held;
    sigfillset(&held);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) {
        sigdelset(&held, fault);
    }
    ::pthread_sigmask(SIG_BLOCK, &held, &before_);
}

HeldSignals::~HeldSignals()
{
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

} // namespace clone2
