// SPDX-License-Identifier: MIT
#pragma once

#include <csignal>

/// Signal settings of the command's caller, which PROGRAM must find unchanged.

namespace clone2::cli
{

/// PROGRAM inherits the file size limit. A write of ours that exceeds it must fail, not kill us.
/// Returns the caller's action.
[[nodiscard]] struct sigaction ignore_file_limit();

/// The caller's settings, to be restored for PROGRAM.
struct InheritedSignals {
    sigset_t mask{};
    struct sigaction sigchld {
    };
    struct sigaction sigxfsz {
    };
};
/// Blocks the signals that we read from signalfd, in all our processes, and resets SIGCHLD to its
/// default. `sigxfsz`: from ignore_file_limit().
[[nodiscard]] InheritedSignals take_over_signals(const struct sigaction &sigxfsz);
void restore_signals(const InheritedSignals &inherited);

} // namespace clone2::cli
