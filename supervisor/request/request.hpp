// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/types.h>

namespace clone2
{

/// Pid namespaces nest to level 32 (MAX_PID_NS_LEVEL); the initial one is level 0.
constexpr std::size_t max_pids = 33;

/// One call in the terms of the planner, whichever ABI it came in. It can say all that clone3(2)
/// can.
struct Request {
    std::uint64_t flags = 0;       ///< low 8 bits: exit signal
    std::uint64_t child_stack = 0; ///< the child's stack pointer, 0: as the parent's
    std::uint64_t stack_size = 0; ///< bytes; not 0: child_stack is the lowest address, as in clone3
    std::uint64_t pidfd = 0;      ///< address for CLONE_PIDFD
    std::uint64_t parent_tid = 0; ///< address for CLONE_PARENT_SETTID
    std::uint64_t child_tid = 0;  ///< address for CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID
    std::uint64_t tls = 0;        ///< value for CLONE_SETTLS
    std::uint64_t cgroup = 0;     ///< descriptor for CLONE_INTO_CGROUP; no ABI so far has one
    std::uint64_t pids_address = 0;
    std::uint32_t nr_pids = 0;          ///< as the caller gave it, also when beyond any limit
    bool pids_readable = true;          ///< false: `pids` holds nothing
    std::array<pid_t, max_pids> pids{}; ///< the first min(nr_pids, max_pids), oldest first

    /// The pids that were read: at most max_pids.
    [[nodiscard]] std::span<const pid_t> asked() const
    {
        return {pids.data(), nr_pids <= max_pids ? nr_pids : max_pids};
    }
};

} // namespace clone2
