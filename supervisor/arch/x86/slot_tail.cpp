// SPDX-License-Identifier: MIT
#include "arch/x86/slot_tail.hpp"

#include <algorithm>
#include <iterator>

namespace clone2::x86
{

namespace
{

constexpr std::uint16_t spare_index = 0xffff;

} // namespace

SlotTail encode_tail(const SlotCall &call, RemotePtr at)
{
    SlotTail tail{};
    tail.started_ns = call.started_ns;
    tail.to_pick = call.call.to_pick;
    tail.request_flags = call.request_flags;
    tail.nr_pids = call.nr_pids;
    tail.attempts = static_cast<std::uint16_t>(call.attempts);
    tail.index = call.spare ? spare_index : static_cast<std::uint16_t>(call.index);
    tail.flags = call.call.flags;
    tail.pidfd = call.call.pidfd;
    tail.child_tid = call.call.child_tid;
    tail.parent_tid = call.call.parent_tid;
    tail.exit_signal = call.call.exit_signal;
    tail.stack = call.call.stack;
    tail.stack_size = call.call.stack_size;
    tail.tls = call.call.tls;
    tail.set_tid_size = call.call.set_tid_size;
    if (call.call.set_tid_size != 0) {
        tail.set_tid_address = (at + offsetof(SlotTail, set_tid)).value();
    }
    std::copy(std::begin(call.call.set_tid), std::end(call.call.set_tid), tail.set_tid.begin());
    return tail;
}

void decode_tail(const SlotTail &tail, SlotCall &call)
{
    call.started_ns = tail.started_ns;
    call.attempts = tail.attempts;
    call.index = tail.index;
    call.spare = tail.index == spare_index;
    call.request_flags = tail.request_flags;
    call.nr_pids = tail.nr_pids;
    call.call.to_pick = tail.to_pick;
    call.call.flags = tail.flags;
    call.call.pidfd = tail.pidfd;
    call.call.child_tid = tail.child_tid;
    call.call.parent_tid = tail.parent_tid;
    call.call.exit_signal = tail.exit_signal;
    call.call.stack = tail.stack;
    call.call.stack_size = tail.stack_size;
    call.call.tls = tail.tls;
    std::copy(tail.set_tid.begin(), tail.set_tid.end(), call.call.set_tid);
    call.call.set_tid_size = std::min<std::uint64_t>(tail.set_tid_size, tail.set_tid.size());
}

} // namespace clone2::x86
