// SPDX-License-Identifier: MIT
#pragma once

#include "cli/options.hpp"

#include <csignal>

namespace clone2::cli
{

/// Runs PROGRAM and ends as it ends: returns its exit status, or dies of its signal.
/// `sigxfsz`: from ignore_file_limit().
int run_command(const Options &options, const struct sigaction &sigxfsz);

} // namespace clone2::cli
