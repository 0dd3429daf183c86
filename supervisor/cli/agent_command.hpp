// SPDX-License-Identifier: MIT
#pragma once

#include "cli/options.hpp"

namespace clone2::cli
{

/// Serves `options.listen` in the foreground until SIGTERM or SIGINT. Returns the exit status.
int run_agent(const Options &options);

} // namespace clone2::cli
