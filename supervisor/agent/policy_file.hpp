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

/// Reads a policy, strictly: what is not known is an error, and so is a key given twice. The
/// form is in examples/systemd/policy.json. Pure.
[[nodiscard]] std::variant<Policy, PolicyError> parse_policy(std::string_view text);

} // namespace clone2::agent
