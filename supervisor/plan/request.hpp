// SPDX-License-Identifier: MIT
#pragma once

#include "plan/core.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/types.h>

namespace clone2
{

constexpr std::size_t max_pids = PLAN_MAX_PIDS;

/// One call in the planner's terms, whatever its ABI. It can express everything that clone3(2) can.
struct Request : plan_request {
    std::uint64_t cgroup = 0; ///< descriptor for CLONE_INTO_CGROUP; no ABI has one yet
    std::uint64_t pids_address = 0;
    /// Not null: the ABI has no such call, EINVAL. Static storage.
    const char *malformed = nullptr;

    Request() : plan_request{} { pids_readable = true; }

    /// The pids that were read; at most max_pids.
    [[nodiscard]] std::span<const pid_t> asked() const
    {
        return {pids, nr_pids <= max_pids ? nr_pids : max_pids};
    }
};

} // namespace clone2
