// SPDX-License-Identifier: MIT
#pragma once

#include "cli/options.hpp"

namespace clone2::cli
{

/// Whether the kernel's own clone2 is to be used. Where it was asked for and is not there, this
/// ends the process with own_failure.
[[nodiscard]] bool kernel_makes_calls(Provider provider);

} // namespace clone2::cli
