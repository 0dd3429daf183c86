// SPDX-License-Identifier: MIT
#include "cli/inherited_signals.hpp"

#include "cli/signals.hpp"

#include <cerrno>
#include <system_error>

namespace clone2::cli
{

struct sigaction ignore_file_limit()
{
    struct sigaction ignore {
    };
    struct sigaction inherited {
    };
    ignore.sa_handler = SIG_IGN;
    if (::sigaction(SIGXFSZ, &ignore, &inherited) != 0) {
        throw std::system_error(errno, std::generic_category(), "sigaction()");
    }
    return inherited;
}

InheritedSignals take_over_signals(const struct sigaction &sigxfsz)
{
    InheritedSignals inherited;
    inherited.sigxfsz = sigxfsz;
    sigset_t handled = forwarded_signals();
    sigaddset(&handled, SIGCHLD);
    // signalfd never sees a signal that is not blocked.
    if (::sigprocmask(SIG_BLOCK, &handled, &inherited.mask) != 0) {
        throw std::system_error(errno, std::generic_category(), "sigprocmask()");
    }
    struct sigaction standard {
    };
    standard.sa_handler = SIG_DFL;
    // If SIGCHLD were ignored, the kernel would reap before we can look.
    ::sigaction(SIGCHLD, &standard, &inherited.sigchld);
    return inherited;
}

void restore_signals(const InheritedSignals &inherited)
{
    ::sigaction(SIGCHLD, &inherited.sigchld, nullptr);
    ::sigaction(SIGXFSZ, &inherited.sigxfsz, nullptr);
    ::sigprocmask(SIG_SETMASK, &inherited.mask, nullptr);
}

} // namespace clone2::cli
