// SPDX-License-Identifier: MIT
#pragma once

#include "base/diagnostics.hpp"

#include <cstdint>
#include <string>
#include <utility>

namespace clone2
{

/// Reports the stages of one call as messages, for -vv. Describing a stage takes time, so callers
/// first check whether the call has a trace.
class CallTrace
{
public:
    /// `caller`: for messages. `started_ns`: when it called (CLOCK_MONOTONIC).
    CallTrace(const Diagnostics &diagnostics, std::string caller, std::int64_t started_ns)
        : diagnostics_(diagnostics), caller_(std::move(caller)), started_ns_(started_ns)
    {
    }

    void stage(const char *name, const std::string &what) const;

private:
    const Diagnostics &diagnostics_;
    std::string caller_;
    std::int64_t started_ns_;
};

/// A system call's result: "EBUSY", a number, or an address in hexadecimal.
[[nodiscard]] std::string describe_result(std::int64_t result);

} // namespace clone2
