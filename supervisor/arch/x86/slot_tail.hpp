// SPDX-License-Identifier: MIT
#pragma once

#include "arch/slot.hpp"
#include "base/remote_ptr.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <linux/sched.h>

namespace clone2::x86
{

/// The last part of a slot, the same for x86-64 and i386: the fields that only the supervisor uses,
/// then clone3's arguments.
struct SlotTail {
    std::int64_t started_ns;
    std::uint64_t to_pick;
    std::uint64_t request_flags;
    std::uint32_t nr_pids;
    std::uint16_t attempts;
    std::uint16_t index;
    // struct clone_args, CLONE_ARGS_SIZE_VER1
    std::uint64_t flags;
    std::uint64_t pidfd;
    std::uint64_t child_tid;
    std::uint64_t parent_tid;
    std::uint64_t exit_signal;
    std::uint64_t stack;
    std::uint64_t stack_size;
    std::uint64_t tls;
    std::uint64_t set_tid_address;
    std::uint64_t set_tid_size;
    std::array<pid_t, PLAN_MAX_SET_TID> set_tid;

    /// How many bytes of it are in use, in whole words: ptrace(2) writes no less.
    [[nodiscard]] std::size_t used() const
    {
        return offsetof(SlotTail, set_tid) + (set_tid_size + 1) / 2 * sizeof(std::uint64_t);
    }
};
static_assert(offsetof(SlotTail, set_tid) - offsetof(SlotTail, flags) == CLONE_ARGS_SIZE_VER1);

/// `at`: its address in the target.
[[nodiscard]] SlotTail encode_tail(const SlotCall &call, RemotePtr at);
void decode_tail(const SlotTail &tail, SlotCall &call);

} // namespace clone2::x86
