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

/// How many neighbouring slots are looked at together: those of one or two pages.
constexpr std::uint32_t block_size = 16;
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

std::optional<SlotReservations::Lease>
SlotReservations::reserve_any(RemotePtr area, const Architecture &arch, std::uint32_t first)
{
    const std::lock_guard lock(mutex_);
    for (std::uint32_t count = 0; count < arch.slot_count(); ++count) {
        const std::uint32_t index = (first + count) % arch.slot_count();
        const RemotePtr slot = area + arch.slot_offset(index);
        if (reserved_.insert(slot).second) {
            return Lease(*this, slot, index);
        }
    }
    return std::nullopt;
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
    return lease;
}

std::uint32_t SlotFinder::first_for(pid_t tid, const Architecture &arch)
{
    const std::uint32_t blocks = arch.slot_count() / block_size;
    return static_cast<std::uint32_t>(tid) % blocks * block_size;
}

std::optional<SlotReservations::Lease> SlotFinder::find_free(pid_t tid, const Architecture &arch,
                                                             const Image &image)
{
    const std::uint32_t first = first_for(tid, arch);
    for (std::uint32_t seen = 0; seen < arch.slot_count(); seen += block_size) {
        const std::uint32_t block = (first + seen) % arch.slot_count();
        Result<std::optional<Lease>> found = free_in_block(tid, arch, image, block);
        if (!found || *found) {
            return found ? std::move(*found) : std::nullopt;
        }
    }
    return std::nullopt;
}

/// The first free one of a block of slots that starts with `block` and may wrap around.
Result<std::optional<SlotReservations::Lease>> SlotFinder::free_in_block(pid_t tid,
                                                                         const Architecture &arch,
                                                                         const Image &image,
                                                                         std::uint32_t block)
{
    const std::size_t size = arch.state_size();
    std::vector<std::byte> bytes(block_size * size);
    std::array<RemoteRange, block_size> pieces;
    for (std::uint32_t i = 0; i < block_size; ++i) {
        const std::uint32_t index = (block + i) % arch.slot_count();
        pieces[i] = {image.area + arch.slot_offset(index),
                     std::span(bytes).subspan(i * size, size)};
    }
    const Result<std::size_t> read = read_memory(tid, pieces);
    if (!read) {
        return read.error();
    }
    if (*read != bytes.size()) {
        return Error{"process_vm_readv()", tid, EFAULT};
    }
    for (std::uint32_t i = 0; i < block_size; ++i) {
        const std::span<std::byte> state = pieces[i].to;
        if (!is_free(tid, arch.decode_state(state))) {
            continue;
        }
        std::optional<Lease> lease =
            reservations_.reserve(image.area, arch, (block + i) % arch.slot_count());
        if (lease && read_exactly(tid, lease->slot(), state) &&
            is_free(tid, arch.decode_state(state))) {
            return {std::move(lease)};
        }
    }
    return std::optional<Lease>();
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
