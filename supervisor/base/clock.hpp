// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <ctime>

namespace clone2
{

/// clock_gettime(2) in nanoseconds. Thread-safe.
inline std::int64_t now_ns(clockid_t clock)
{
    timespec now{};
    ::clock_gettime(clock, &now);
    return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

} // namespace clone2
