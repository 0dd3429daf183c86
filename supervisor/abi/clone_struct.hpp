// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace clone2
{

/// The proposal's struct clone_struct, the same for 32-bit and 64-bit callers.
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

} // namespace clone2
