// SPDX-License-Identifier: MIT
#include "base/trace.hpp"

#include "base/clock.hpp"
#include "base/kernel_limits.hpp"
#include "base/printable.hpp"

#include <cstring>
#include <ctime>

namespace clone2
{

void CallTrace::stage(const char *name, const std::string &what) const
{
    const std::int64_t spent_ns = now_ns(CLOCK_MONOTONIC) - started_ns_;
    diagnostics_.trace(caller_ + " +" + std::to_string(spent_ns / 1000) + " us " + name + ": " +
                       what);
}

std::string describe_result(std::int64_t result)
{
    const char *const name = result < 0 && result >= -highest_errno
                                 ? ::strerrorname_np(static_cast<int>(-result))
                                 : nullptr;
    if (name != nullptr) {
        return name;
    }
    return result >= -highest_errno && result <= highest_pid
               ? std::to_string(result)
               : hex(static_cast<std::uint64_t>(result));
}

} // namespace clone2
