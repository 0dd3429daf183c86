// SPDX-License-Identifier: MIT
#pragma once

#include "cli/check.hpp"

#include <optional>
#include <string>

namespace clone2::cli
{

/// Whether this call reaches our filter. The strictest of several filters decides,
/// and a container's may forbid an unknown number.
[[nodiscard]] Feature number_feature(const TrappedCall &call);

/// Whether an agent accepts connections at `path`; nullopt: the path that clone2-shim uses.
[[nodiscard]] Feature agent_feature(const std::optional<std::string> &path);

/// Why clone3 is refused; empty: it is not.
[[nodiscard]] std::string clone3_refusal();

} // namespace clone2::cli
