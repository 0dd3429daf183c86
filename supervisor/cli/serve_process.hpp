// SPDX-License-Identifier: MIT
#pragma once

#include "cli/call_audit.hpp"
#include "cli/options.hpp"

namespace clone2::cli
{

/// The serving process, after the fork of the reaper: takes the listener from `program`, serves
/// it until the last target is gone, and answers the command's requests on `command`.
/// `log`: from open_log(); `reaper`: the child that reaps. Returns the process's
/// exit status. `kernel_serves`: the kernel's own clone2 makes the calls; without a listener
/// nothing is left to do but to wait for the end.
int serve(const Options &options, bool kernel_serves, Fd program, Fd command, LogFile log,
          pid_t reaper);

/// From the command to the serving process: print what was asked for at the end.
constexpr char finish_request = 'F';
/// To PROGRAM's process, which waits to be served: it won't be. A message is printed.
constexpr char start_failed = 'X';

} // namespace clone2::cli
