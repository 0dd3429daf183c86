// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/types.h>

namespace clone2
{

/// struct clone_struct of the proposal, the same for 32- and 64-bit callers (SPEC.md, "Call").
struct CloneStruct {
    std::uint64_t flags;
    std::uint64_t child_stack;
    std::uint32_t nr_pids;
    std::uint32_t parent_tid;
    std::uint32_t child_tid;
    std::uint32_t reserved1;
    std::uint64_t reserved2;
};
static_assert(sizeof(CloneStruct) == 40);

/// Pid namespaces nest to level 32 (MAX_PID_NS_LEVEL); the initial one is level 0.
constexpr std::size_t max_pids = 33;

/// One call in the terms of the planner, whichever ABI it came in.
struct Request {
    std::uint64_t flags = 0;            ///< low 8 bits: exit signal
    std::uint64_t child_stack = 0;      ///< the child's stack pointer, 0: as the parent's
    std::uint64_t parent_tid = 0;       ///< address for CLONE_PARENT_SETTID or CLONE_PIDFD
    std::uint64_t child_tid = 0;        ///< address for CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID
    std::uint64_t tls = 0;              ///< value for CLONE_SETTLS
    std::uint32_t nr_pids = 0;          ///< as the caller gave it, also when beyond any limit
    bool pids_readable = true;          ///< false: `pids` holds nothing
    std::array<pid_t, max_pids> pids{}; ///< the first min(nr_pids, max_pids), oldest first

    /// The pids that were read: at most max_pids.
    [[nodiscard]] std::span<const pid_t> asked() const
    {
        return {pids.data(), nr_pids <= max_pids ? nr_pids : max_pids};
    }
};

/// Decodes v7's clone_struct. `tls` is the register in which clone(2) takes it.
inline Request decode_v7(const CloneStruct &raw, std::uint64_t tls)
{
    Request request;
    request.flags = raw.flags;
    request.child_stack = raw.child_stack;
    request.parent_tid = raw.parent_tid;
    request.child_tid = raw.child_tid;
    request.tls = tls;
    request.nr_pids = raw.nr_pids;
    return request;
}

} // namespace clone2
