// SPDX-License-Identifier: MIT
#pragma once

#include "agent/policy_holder.hpp"
#include "cli/call_audit.hpp"
#include "cli/options.hpp"

#include <memory>

namespace clone2::cli
{

/// Runs the serving process after it has forked the reaper: takes the listener from `program`,
/// serves it until the last target is gone, and answers the command's requests on `command`. `log`:
/// from open_log(); `policy_read`: before signals are taken over; `user`: the command's effective
/// uid; `reaper`: the reaper's pid. `kernel_serves`: the kernel's own clone2 makes the calls.
/// `filtered`: PROGRAM will have a filter; without one, only waits for the end. Returns the
/// process's exit status.
int serve(const Options &options, uid_t user, bool kernel_serves, bool filtered, Fd program,
          Fd command, LogFile log, std::unique_ptr<agent::PolicyHolder> policy_read, pid_t reaper);

/// Sent by the command to the serving process: print the final output once.
constexpr char finish_request = 'F';

} // namespace clone2::cli
