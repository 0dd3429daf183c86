// SPDX-License-Identifier: MIT
#pragma once

#include "arch/architecture.hpp"

namespace clone2
{

/// 32-bit programs on an x86-64 kernel.
extern const Architecture &i386;

} // namespace clone2
