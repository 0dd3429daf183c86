// SPDX-License-Identifier: MIT
#pragma once

#include "cli/messages.hpp"

#include <functional>
#include <string>

namespace clone2::cli
{

/// Becomes the parent of PROGRAM, in `depth` new nested pid namespaces where asked for: one
/// process for each namespace, its init, and one outside. Each reaps what is orphaned to it, and
/// ends when it has no child left. An init hands on to PROGRAM what is sent to it from within.
///
/// The parent is in PROGRAM's session and first process group as long as PROGRAM lives: in another
/// session it would make an orphaned group, which nothing stops, of each other group that PROGRAM
/// makes for itself; in another group it would keep PROGRAM's first one from being orphaned. The
/// parent's own parent keeps it from being stopped with the group (wake_reaper()).
///
/// The parent is not the serving process: the stops of one's own children are reported to every
/// thread, which would mix with the stops of the serving threads' tracees.
///
/// `command`: whom the innermost one tells of PROGRAM, and who has signals to hand on.
/// `program`: called in PROGRAM's process, must not return.
[[noreturn]] void reap(unsigned depth, ReaperLink command, const std::function<void()> &program);

/// Ends the process by a failure of our own, which it tells the command as PROGRAM's status.
[[noreturn]] void fail_for(const Fd &command, const std::string &message);

} // namespace clone2::cli
