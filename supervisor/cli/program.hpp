// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "cli/inherited_signals.hpp"

#include <linux/filter.h>

#include <span>
#include <string>
#include <vector>

namespace clone2::cli
{

/// In PROGRAM's process: installs the filter (empty: none), hands the listener to `serving` and
/// waits until it is served, restores the inherited signals, executes. Ends the process with 125,
/// 126 or 127 and a message where that fails.
[[noreturn]] void run_program(const std::vector<std::string> &program,
                              std::span<const sock_filter> filter, const Fd &serving,
                              const InheritedSignals &inherited);

} // namespace clone2::cli
