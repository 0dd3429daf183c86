// SPDX-License-Identifier: MIT
#pragma once

#include "cli/check.hpp"

#include <optional>
#include <string>

namespace clone2::cli
{

/// Whether a call by this number gets as far as our filter: of several filters the strictest
/// answer counts, and a container's may forbid a number that it doesn't know.
[[nodiscard]] Feature number_feature(int nr);

/// Whether an agent takes connections at `path`; nullopt: where clone2-shim looks for it.
[[nodiscard]] Feature agent_feature(const std::optional<std::string> &path);

/// What refuses clone3, or an empty text: nothing does.
[[nodiscard]] std::string clone3_refusal();

} // namespace clone2::cli
