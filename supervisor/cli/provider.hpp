// SPDX-License-Identifier: MIT
#pragma once

#include "cli/options.hpp"

namespace clone2::cli
{

/// Whether to use the kernel's own clone2. Exits with own_failure if it was requested but is
/// missing.
[[nodiscard]] bool kernel_makes_calls(Provider provider);

} // namespace clone2::cli
