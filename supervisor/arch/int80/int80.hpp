// SPDX-License-Identifier: MIT
#pragma once

#include "arch/architecture.hpp"

namespace clone2
{

/// The i386 calls of a 64-bit program: it makes them with int $0x80.
extern const Architecture &int80;

} // namespace clone2
