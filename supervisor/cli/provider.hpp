// SPDX-License-Identifier: MIT
#pragma once

#include "cli/options.hpp"

#include <vector>

namespace clone2::cli
{

/// Whether to use the kernel's own clone2. Exits with own_failure if it was requested but is
/// missing.
[[nodiscard]] bool kernel_makes_calls(Provider provider);

/// Of the calls asked for, those that come to us. A patched kernel's own number is left to it.
[[nodiscard]] CallTable trapped_calls(const Options &options, bool kernel_serves);
/// Calls that a user would expect to be served, and that are not: they come to us to be mentioned.
[[nodiscard]] std::vector<TrappedCall> watched_calls(const Options &options, bool kernel_serves);

} // namespace clone2::cli
