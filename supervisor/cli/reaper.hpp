// SPDX-License-Identifier: MIT
#pragma once

#include "cli/inherited_signals.hpp"
#include "cli/lifelines.hpp"
#include "cli/messages.hpp"
#include "cli/options.hpp"
#include "cli/user_namespace.hpp"

#include <exception>
#include <functional>
#include <string>

namespace clone2::cli
{

/// Becomes PROGRAM's parent, in new nested pid namespaces if requested. Each namespace has
/// one process, its init, and one more process runs outside. Each reaps the orphans it gets and
/// ends when it has no child left. An init forwards signals from inside its namespace to PROGRAM.
///
/// The parent stays in PROGRAM's session and first process group while PROGRAM lives. From another
/// session, it would leave every other group that PROGRAM enters orphaned, and stop signals do not
/// stop an orphaned group. From another group of the session, it would keep PROGRAM's first group
/// from being orphaned. The parent's own parent keeps it from being stopped with the group
/// (wake_reaper()).
///
/// The parent is not the serving process: the stops of a process's children are reported to all its
/// threads, so they would mix with the stops of the serving threads' tracees.
///
/// `command`: receives news of PROGRAM from the innermost process, and sends signals to forward.
/// `lifelines`: when one is cut while PROGRAM lives, the parent kills PROGRAM and all of its
/// processes that may be killed. With --wait-all also after PROGRAM's end.
/// `user_namespace`: whether this process is in a new one already.
/// `ranges`: with --map-auto. `inherited`: what a program that it runs for the namespaces gets.
/// `program`: called in PROGRAM's process; must not return.
[[noreturn]] void reap(const Options &options, ReaperLink command, Lifelines lifelines,
                       bool user_namespace, const OwnRanges &ranges,
                       const InheritedSignals &inherited, const std::function<void()> &program);

/// Exits with our own failure status and reports it to the command as PROGRAM's status.
[[noreturn]] void fail_for(const Fd &command, const std::string &message);
/// The same for what the error says. After EndedBySignal that signal ends the command, too.
[[noreturn]] void fail_for(const Fd &command, const std::exception &error);

} // namespace clone2::cli
