// SPDX-License-Identifier: MIT
#include "image/slots.hpp"

#include "image/exits.hpp"
#include "image/slot_users.hpp"

#include "base/clock.hpp"
#include "image/waiting_write.hpp"
#include "target/memory.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <elf.h>
#include <linux/sched.h>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace clone2
{

namespace
{

constexpr std::size_t remembered = 4096;
/// How much of a stack is searched for signal frames.
constexpr std::uint64_t max_stack = 8ULL << 20;
/// A caller whose call was just received may not be asleep yet (5.19: it wakes up once, then sleeps
/// without being woken by signals). How often, and after what time, to look again.
constexpr unsigned looks_at_rest = 500;
constexpr std::chrono::milliseconds look_again{2};
/// A new thread needs some ten instructions to leave our code.
constexpr std::int64_t child_has_left_ns = 10'000'000'000;

} // namespace

SlotReservations::Lease::~Lease()
{
    if (table_ != nullptr) {
        const std::lock_guard lock(table_->mutex_);
        table_->reserved_.erase(slot_);
    }
}

std::optional<SlotReservations::Lease> SlotReservations::reserve_any(RemotePtr area,
                                                                     const Architecture &arch)
{
    const std::lock_guard lock(mutex_);
    const auto preferred = preferred_.find(area.value());
    const std::uint32_t first = preferred != preferred_.end() ? preferred->second : 0;
    for (std::uint32_t count = 0; count < arch.slot_count(); ++count) {
        const std::uint32_t index = (first + count) % arch.slot_count();
        const RemotePtr slot = area + arch.slot_offset(index);
        if (reserved_.insert(slot).second) {
            return Lease(*this, slot, index);
        }
    }
    return std::nullopt;
}

void SlotReservations::prefer(RemotePtr area, std::uint32_t index)
{
    const std::lock_guard lock(mutex_);
    if (preferred_.size() > remembered) {
        preferred_.clear();
    }
    preferred_[area.value()] = index;
}

std::optional<SlotReservations::Lease>
SlotReservations::reserve(RemotePtr area, const Architecture &arch, std::uint32_t index)
{
    const std::lock_guard lock(mutex_);
    const RemotePtr slot = area + arch.slot_offset(index);
    if (!reserved_.insert(slot).second) {
        return std::nullopt;
    }
    return Lease(*this, slot, index);
}

bool SlotFinder::is_free(pid_t tid, const SlotState &state)
{
    if (state.free()) {
        return true;
    }
    if (state.owner == tid) {
        return false; // a signal handler has interrupted that call, or has left it by longjmp
    }
    // A fork child inherits the slots of its parent's calls, and no thread there frees them.
    const Result<bool> shared = share_memory(tid, state.owner);
    if (shared) {
        return !*shared;
    }
    return shared.error().err == ESRCH && state.child_busy == 0;
}

std::optional<SlotReservations::Lease> SlotFinder::find(const PendingCall &call, const Image &image)
{
    const Architecture &arch = architecture_of(call.notification());
    std::optional<Lease> lease = find_free(call.tid(), arch, image);
    if (!lease) {
        free_abandoned(call, image);
        lease = find_free(call.tid(), arch, image);
    }
    if (lease) {
        reservations_.prefer(image.area, lease->index());
    }
    return lease;
}

std::optional<SlotReservations::Lease> SlotFinder::find_free(pid_t tid, const Architecture &arch,
                                                             const Image &image)
{
    const std::size_t size = arch.state_size();
    std::vector<std::byte> bytes(arch.slot_count() * size);
    std::vector<RemoteRange> pieces(arch.slot_count());
    const auto state_in = [&](std::uint32_t index) {
        return std::span(bytes).subspan(index * size, size);
    };
    for (std::uint32_t index = 0; index < pieces.size(); ++index) {
        pieces[index] = {image.area + arch.slot_offset(index), state_in(index)};
    }
    const Result<std::size_t> read = read_memory(tid, pieces);
    if (!read || *read != bytes.size()) {
        return std::nullopt;
    }
    for (std::uint32_t index = 0; index < pieces.size(); ++index) {
        if (!is_free(tid, arch.decode_state(state_in(index)))) {
            continue;
        }
        std::optional<Lease> lease = reservations_.reserve(image.area, arch, index);
        if (lease && read_exactly(tid, lease->slot(), state_in(index)) &&
            is_free(tid, arch.decode_state(state_in(index)))) {
            return lease;
        }
    }
    return std::nullopt;
}

/// The stack pointer of a thread that waits for our answer; nullopt: it is gone, or does not fall
/// asleep (stopped in between).
std::optional<std::uint64_t> SlotFinder::stack_pointer(pid_t tid) const
{
    for (unsigned look = 0; look < looks_at_rest; ++look) {
        // "number six-arguments stack-pointer program-counter", or "running"
        const std::string state = procfs_->read_if_alive(tid, "syscall").value_or("");
        if (!state.starts_with("running")) {
            std::istringstream words(state);
            std::string word;
            for (int skip = 0; skip < 7; ++skip) {
                words >> word;
            }
            std::uint64_t sp = 0;
            return words >> std::hex >> sp ? std::optional(sp) : std::nullopt;
        }
        std::this_thread::sleep_for(look_again);
    }
    return std::nullopt;
}

/// Whether a signal handler of this thread, which waits for our answer, has interrupted our code:
/// then the address at which to resume is in the signal frame, further up on the stack.
bool SlotFinder::is_inside_code(pid_t tid, const Architecture &arch, const Image &image) const
{
    const std::optional<std::uint64_t> sp = stack_pointer(tid);
    if (!sp) {
        return true;
    }
    const RemotePtr end = page_end(arch, image.code); // exits and all
    const std::uint64_t page_size = arch.page_size();
    std::vector<std::uint64_t> chunk(page_size / sizeof(std::uint64_t));
    const RemotePtr area_end = image.area + arch.area_size();
    for (RemotePtr at{*sp / sizeof(std::uint64_t) * sizeof(std::uint64_t)};
         at.value() - *sp < max_stack;) {
        // The area may directly follow the stack, and its header contains the code's address.
        if (image.area <= at && at < area_end) {
            at = area_end;
            continue;
        }
        const std::uint64_t size = page_size - at.value() % page_size;
        const auto words_here = std::span(chunk).first(size / sizeof(std::uint64_t));
        if (!read_exactly(tid, at, std::as_writable_bytes(words_here))) {
            return false; // the end of the stack
        }
        const auto in_code = [&](std::uint64_t value) {
            return image.code.value() <= value && value < end.value();
        };
        if (std::any_of(words_here.begin(), words_here.end(), [&](std::uint64_t value) {
                return arch.elf_class() == ELFCLASS64
                           ? in_code(value)
                           : in_code(value & 0xffffffff) || in_code(value >> 32);
            })) {
            return true;
        }
        at = at + size;
    }
    return true;
}

/// Frees slots of the caller's own calls to which it will never return, because signal handlers
/// left them by longjmp. Slow; used only if no slot is left.
void SlotFinder::free_abandoned(const PendingCall &call, const Image &image) const
{
    const pid_t tid = call.tid();
    const Architecture &arch = architecture_of(call.notification());
    if (is_inside_code(tid, arch, image)) {
        return;
    }
    const std::int64_t now = now_ns(CLOCK_MONOTONIC);
    const std::array<std::uint32_t, 2> not_busy{};
    std::vector<WaitingWrite> writes;
    std::vector<std::byte> bytes(arch.slot_size());
    for (std::uint32_t index = 0; index < arch.slot_count(); ++index) {
        const RemotePtr slot = image.area + arch.slot_offset(index);
        if (!read_exactly(tid, slot, bytes)) {
            return;
        }
        const SlotCall in_slot = arch.decode_slot(bytes);
        if (in_slot.state.owner != tid || in_slot.state.free()) {
            continue;
        }
        // A child in the same memory may still be leaving our code. A vfork child is not, because
        // its parent would still be waiting for it; and no other child is after so long a time.
        const bool child_left = in_slot.state.child_busy == 0 ||
                                (in_slot.call.flags & CLONE_VFORK) != 0 ||
                                now - in_slot.started_ns > child_has_left_ns;
        if (child_left) {
            writes.push_back({slot, const_bytes_of(not_busy)});
        }
    }
    (void)write_waiting(*procfs_, call, writes);
}

} // namespace clone2
