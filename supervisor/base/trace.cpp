// SPDX-License-Identifier: MIT
#include "base/trace.hpp"

#include "base/printable.hpp"

#include <cstring>
#include <ctime>

namespace clone2
{

namespace
{

constexpr std::int64_t highest_pid = 1U << 22; // PID_MAX_LIMIT of the kernel

} // namespace

void CallTrace::stage(const char *name, const std::string &what) const
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const std::int64_t now_ns = static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
    diagnostics_.trace(caller_ + " +" + std::to_string((now_ns - started_ns_) / 1000) + " us " +
                       name + ": " + what);
}

std::string describe_result(std::int64_t result)
{
    const char *const name =
        result < 0 && result >= -4095 ? ::strerrorname_np(static_cast<int>(-result)) : nullptr;
    if (name != nullptr) {
        return name;
    }
    return result >= -4095 && result <= highest_pid ? std::to_string(result)
                                                    : hex(static_cast<std::uint64_t>(result));
}

} // namespace clone2
