// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace clone2
{

constexpr std::int64_t highest_errno = 4095;  ///< MAX_ERRNO of the kernel
constexpr std::int64_t highest_pid = 1 << 22; ///< PID_MAX_LIMIT of the kernel

} // namespace clone2
