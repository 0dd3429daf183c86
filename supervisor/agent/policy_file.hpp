// SPDX-License-Identifier: MIT
#pragma once

#include "agent/policy.hpp"

#include <string>
#include <string_view>
#include <variant>

namespace clone2::agent
{

struct PolicyError {
    std::string why; ///< "LINE:COLUMN: what is wrong"
};

/// Parses a policy strictly: unknown and duplicate keys are errors. examples/systemd/policy.json
/// shows the format. Pure.
[[nodiscard]] std::variant<Policy, PolicyError> parse_policy(std::string_view text);

} // namespace clone2::agent
