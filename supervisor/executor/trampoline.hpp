// SPDX-License-Identifier: MIT
#pragma once

#include "base/remote_ptr.hpp"
#include "base/result.hpp"
#include "executor/tracee.hpp"
#include "listener/notification.hpp"
#include "plan/planner.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

/// The code and data that a target gets, as far as an architecture decides them. The build picks
/// one arch/ folder. Thread-safe: no state.
///
/// In the target:  code: signature, call, boot; behind it the boot slots (read-only there)
///                 area: header, then the slots (mapped by the boot code itself)

namespace clone2
{

/// Sixteen bytes that prove a piece of a target's memory to be what a supervisor like this one put
/// there: see Identity. No program carries them by chance. (A target that forges them fools itself
/// only: all that is ever done with it happens with the target's own rights.)
using Signature = std::array<std::uint64_t, 2>;

/// What stands behind the system calls of our code, to be seen through the instruction pointer.
struct Behind {
    std::array<std::byte, 2> jump;
    std::uint64_t mark;
    std::uint64_t signature; ///< its first word

    [[nodiscard]] bool is_report() const { return mark == report; }
    [[nodiscard]] bool is_boot_report() const { return mark == boot_report; }
    /// Code of any version.
    [[nodiscard]] bool is_code() const { return is_report() || is_boot_report(); }

    static const std::uint64_t report;
    static const std::uint64_t boot_report;
} __attribute__((packed));

/// In front of the code.
struct CodeHeader {
    Signature signature{};
    std::uint64_t area = 0; ///< 0: not known yet
};

/// At the begin of the area.
struct AreaHeader {
    Signature signature{};
    std::uint64_t code = 0; ///< address of the code that belongs to it
};

/// What a busy slot says without its call.
struct SlotState {
    std::uint32_t parent_busy = 0;
    std::uint32_t child_busy = 0;
    std::int32_t owner = 0; ///< calling thread, in the pid namespace of the supervisor that wrote

    [[nodiscard]] bool free() const { return parent_busy == 0 && child_busy == 0; }
};

/// A call under way as its slot tells it: all that is needed to go on with it, so that no
/// memory of it is kept in the supervisor.
struct SlotCall {
    SlotState state;
    std::uint32_t index = 0;
    bool spare = false;          ///< a read-only slot behind the code, see CodePlace
    bool report_success = false; ///< the target tells of a success too (for the log)
    std::uint64_t return_address = 0;
    std::uint64_t nr = 0;
    std::array<std::uint64_t, 2> saved_args{}; ///< argument registers that clone3 takes away
    std::int64_t started_ns = 0;               ///< CLOCK_MONOTONIC at RECV
    std::uint32_t attempts = 0;                ///< picks of pids tried so far
    std::uint64_t request_flags = 0;
    std::uint32_t nr_pids = 0;
    CloneCall call;
};

/// What the boot code restores.
struct BootCall {
    std::array<std::uint64_t, 6> args{};
    std::uint64_t return_address = 0;
    std::uint64_t nr = 0;
    std::int32_t owner = 0; ///< calling thread; 0: the slot is free
};

namespace arch
{

/// AUDIT_ARCH_* of the targets that this build serves.
[[nodiscard]] std::uint32_t audit_arch();

/// The code, with the signature in place.
[[nodiscard]] std::vector<std::byte> make_code(const Signature &signature);
/// Where the code begins whose boot report has this instruction pointer.
[[nodiscard]] RemotePtr code_of_boot_report(std::uint64_t instruction_pointer);
/// What the code's bytes do not show of how it and the supervisor understand each other.
[[nodiscard]] std::array<std::uint64_t, 6> layout();
[[nodiscard]] std::size_t code_size();
[[nodiscard]] std::uint64_t call_entry();
[[nodiscard]] std::uint64_t boot_entry();

[[nodiscard]] std::size_t area_size();
[[nodiscard]] std::uint32_t slot_count();
/// Offset of a slot in the area; index < slot_count().
[[nodiscard]] std::uint64_t slot_offset(std::uint32_t index);
[[nodiscard]] std::size_t slot_size();
/// Which register value a report carries: address of the slot's clone3 arguments.
[[nodiscard]] RemotePtr slot_of_report(std::uint64_t reported);
/// The slot's bytes; as many as are needed. `slot`: its address in the target.
[[nodiscard]] std::vector<std::byte> encode_slot(const SlotCall &call, RemotePtr slot);
[[nodiscard]] SlotCall decode_slot(std::span<const std::byte> bytes);
/// Offset of the owner in a slot, and in a boot slot.
[[nodiscard]] std::uint64_t owner_offset();
[[nodiscard]] std::uint64_t boot_owner_offset();
/// Offset of set_tid[] in the slot.
[[nodiscard]] std::uint64_t set_tid_offset();

[[nodiscard]] std::size_t boot_slot_size();
[[nodiscard]] std::vector<std::byte> encode_boot_slot(const BootCall &call);
[[nodiscard]] BootCall decode_boot_slot(std::span<const std::byte> bytes);

/// Takes the stopped tracee, whose report from a spare slot has been answered, out of our code
/// in one step: back behind its own call, with the call's result.
[[nodiscard]] Result<void> leave(const Tracee &tracee, const SlotCall &call, std::int64_t result);

/// Sends the stopped tracee, whose system call has been answered (`answered`) or was cut short by
/// the stop, back onto its own system-call instruction, to make the same call under number `nr`.
/// ESTALE: it is elsewhere by now, or that instruction is none we know.
[[nodiscard]] Result<void> reissue(const Tracee &tracee, const Notification &notification, int nr,
                                   bool answered);

/// Sends the stopped tracee, whose system call has been answered, to `entry` with `slot`.
/// A crash before the last register is written leaves the answered call in force.
[[nodiscard]] Result<void> redirect(const Tracee &tracee, RemotePtr entry, RemotePtr slot);
/// The same for a tracee whose notification was cut short by the stop itself (no
/// WAIT_KILLABLE_RECV): takes the pending restart away with it. ESTALE: it is elsewhere by now.
[[nodiscard]] Result<void> redirect_interrupted(const Tracee &tracee,
                                                const Notification &notification, RemotePtr entry,
                                                RemotePtr slot);

/// Ends the call of a stopped tracee with `result`, in place of what it was answered, or not
/// `answered`: its notification was cut short by the stop. ESTALE: it is elsewhere by now.
[[nodiscard]] Result<void> end_call(const Tracee &tracee, const Notification &notification,
                                    bool answered, std::int64_t result);

} // namespace arch
} // namespace clone2
