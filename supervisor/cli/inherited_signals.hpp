// SPDX-License-Identifier: MIT
#pragma once

#include <csignal>

/// How the caller of the command has set signals: PROGRAM finds them so again.

namespace clone2::cli
{

/// A limit on the size of files is PROGRAM's: what we can't write for it is an error, not our end.
/// What the caller had set.
[[nodiscard]] struct sigaction ignore_file_limit();

/// What the caller of the command had set, for PROGRAM to find again.
struct InheritedSignals {
    sigset_t mask{};
    struct sigaction sigchld {
    };
    struct sigaction sigxfsz {
    };
};
/// Blocks what we handle by signalfd, in all our processes; gives SIGCHLD its default.
/// `sigxfsz`: from ignore_file_limit().
[[nodiscard]] InheritedSignals take_over_signals(const struct sigaction &sigxfsz);
void restore_signals(const InheritedSignals &inherited);

} // namespace clone2::cli
