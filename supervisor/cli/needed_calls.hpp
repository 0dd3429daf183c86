// SPDX-License-Identifier: MIT
#pragma once

#include "base/result.hpp"

namespace clone2::cli
{

/// Makes each system call that our processes can't do without, to no effect. The error is that of
/// the first one that a filter here refuses: said before a program is started, it is no riddle
/// later.
[[nodiscard]] Result<void> try_needed_calls();

} // namespace clone2::cli
