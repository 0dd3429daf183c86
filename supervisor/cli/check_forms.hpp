// SPDX-License-Identifier: MIT
#pragma once

#include "cli/check.hpp"

#include <vector>

namespace clone2::cli
{

/// Each form of the call, of each architecture: makes it in each way in which programs do, serves
/// it, and waits for the child. By its number in `calls`; else by the standard one, or by the one
/// that history gave it. `can_work`: our own processes can; otherwise nothing is tried. SIGCHLD
/// must have its default action.
[[nodiscard]] std::vector<Feature> form_features(const CallTable &calls, bool can_work);

} // namespace clone2::cli
