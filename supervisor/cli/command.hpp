// SPDX-License-Identifier: MIT
#pragma once

#include "cli/options.hpp"

#include <csignal>

namespace clone2::cli
{

/// Runs PROGRAM and ends the way it ends: returns its exit status, or dies from the same signal.
/// `sigxfsz`: from ignore_file_limit().
int run_command(const Options &options, const struct sigaction &sigxfsz);

} // namespace clone2::cli
