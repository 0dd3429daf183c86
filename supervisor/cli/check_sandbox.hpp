// SPDX-License-Identifier: MIT
#pragma once

#include "cli/check.hpp"

#include <optional>
#include <string>
#include <vector>

namespace clone2::cli
{

/// Whether this call reaches our filter. The strictest of several filters decides,
/// and a container's may forbid an unknown number.
[[nodiscard]] Feature number_feature(const TrappedCall &call);

struct RefusedNumbers {
    std::vector<std::string> why; ///< of each, and what can be done
    bool all = true;              ///< no other number reaches our filter
};
/// Which of these calls a stricter filter refuses: programs started from here don't have them. What
/// could not be found out is left out. Makes the calls in children that have a filter and a
/// listener of their own. SIGCHLD must have its default action.
[[nodiscard]] RefusedNumbers refused_numbers(const CallTable &trapped);

/// Whether an agent accepts connections at `path`; nullopt: the path that clone2-shim uses.
[[nodiscard]] Feature agent_feature(const std::optional<std::string> &path);

/// Why clone3 is refused; empty: it is not.
[[nodiscard]] std::string clone3_refusal();

} // namespace clone2::cli
