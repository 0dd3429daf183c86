// SPDX-License-Identifier: MIT
#pragma once

#include "plan/planner.hpp"
#include "request/reader.hpp"

#include <span>
#include <string>
#include <sys/types.h>

/// Describes a call and its outcome in words, for people. Pure.

namespace clone2
{

/// "{77, 99}".
[[nodiscard]] std::string describe_pids(std::span<const pid_t> pids);
/// "clone3(SIGCHLD, set_tid {77, 99})".
[[nodiscard]] std::string describe(const CloneCall &call);
/// The call, or the errno's name.
[[nodiscard]] std::string describe(const Plan &plan);
/// Whether the program or our code calls, and what the call says.
[[nodiscard]] std::string describe(const CallRead &read);

} // namespace clone2
