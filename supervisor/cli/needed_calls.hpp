// SPDX-License-Identifier: MIT
#pragma once

#include "base/result.hpp"

namespace clone2::cli
{

/// Makes each system call that our processes need, without effect. Returns the error of the first
/// one that a filter refuses. Reported before PROGRAM starts, it explains failures that would be
/// puzzling later.
[[nodiscard]] Result<void> try_needed_calls();

} // namespace clone2::cli
