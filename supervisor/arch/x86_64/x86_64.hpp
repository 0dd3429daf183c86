// SPDX-License-Identifier: MIT
#pragma once

#include "arch/architecture.hpp"

namespace clone2
{

/// Programs of the native 64-bit ABI.
extern const Architecture &x86_64;

} // namespace clone2
