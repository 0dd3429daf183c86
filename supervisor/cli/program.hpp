// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "cli/inherited_signals.hpp"
#include "cli/options.hpp"
#include "cli/preload.hpp"

#include <linux/filter.h>

#include <optional>
#include <span>
#include <sys/types.h>

namespace clone2::cli
{

/// The note of --optional.
void tell_of_no_service(const Options &options, const std::string &why);

/// Executes PROGRAM. On failure, prints a message and exits with 126 or 127.
[[noreturn]] void execute(const Options &options);

/// Runs in PROGRAM's process: installs the filter (empty: none) as soon as the serving process is
/// ready, hands the listener to it, waits until it is served, restores the inherited signals and
/// executes PROGRAM, with `preload` in its environment. With --optional it does so without being
/// served if the filter can't be installed, or the serving process says so. Variables that name the
/// process `command`, as it saw itself, name PROGRAM. On failure, prints a message and exits with
/// 125, 126 or 127.
[[noreturn]] void run_program(const Options &options, std::span<const sock_filter> filter,
                              const std::optional<Preload> &preload, const Fd &serving,
                              const InheritedSignals &inherited, pid_t command);

} // namespace clone2::cli
