// SPDX-License-Identifier: MIT
#pragma once

#include "cli/options.hpp"

namespace clone2::cli
{

/// Runs PROGRAM and ends as it ends: returns its exit status, or dies of its signal.
int run_command(const Options &options);

} // namespace clone2::cli
