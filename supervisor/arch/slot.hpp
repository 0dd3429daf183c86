// SPDX-License-Identifier: MIT
#pragma once

#include "arch/marks.h"
#include "base/remote_ptr.hpp"
#include "plan/planner.hpp"

#include <array>
#include <cstdint>

/// The contents of our code and data in a target, in terms that are the same for all architectures.
///
/// In the target:  code: header, the code; after it the boot slots (read-only there)
///                 area: header, then the slots (mapped by the boot code itself)

namespace clone2
{

/// Sixteen bytes that identify memory as written by a supervisor like this one: see
/// make_signature(). No program contains them by chance. (A target that forges them fools only
/// itself: everything done with them uses the target's own rights.)
using Signature = std::array<std::uint64_t, 2>;

/// Follows the system-call instructions of our code, Architecture::mark_offset() bytes after the
/// instruction pointer.
struct CodeMark {
    std::uint64_t mark = 0;
    std::uint64_t signature = 0; ///< its first word

    [[nodiscard]] bool is_report() const { return mark == MARK_REPORT; }
    [[nodiscard]] bool is_boot_report() const { return mark == MARK_BOOT_REPORT; }
    /// Code of any version.
    [[nodiscard]] bool is_code() const { return is_report() || is_boot_report(); }
};

/// At the start of the code.
struct CodeHeader {
    Signature signature{};
    std::uint64_t area = 0; ///< 0: not known yet
};

/// At the start of the area.
struct AreaHeader {
    Signature signature{};
    std::uint64_t code = 0; ///< address of the code that it belongs to
};

/// The part of a slot that shows whether it is in use.
struct SlotState {
    std::uint32_t parent_busy = 0;
    std::uint32_t child_busy = 0;
    std::int32_t owner = 0; ///< calling thread, in the pid namespace of the supervisor that wrote
                            ///< it

    [[nodiscard]] bool free() const { return parent_busy == 0 && child_busy == 0; }
};

/// A call in progress. Its slot holds everything needed to complete it, so the supervisor need not
/// remember it.
struct SlotCall {
    SlotState state;
    std::uint32_t index = 0;
    bool spare = false;          ///< a read-only slot after the code, see CodePlace
    bool report_success = false; ///< the target reports a success, too (for the log)
    std::uint64_t return_address = 0;
    std::uint64_t nr = 0;
    /// The argument registers; the code restores those that it needs.
    std::array<std::uint64_t, 6> saved_args{};
    RemotePtr exit;              ///< see Architecture::exit_size()
    std::int64_t started_ns = 0; ///< CLOCK_MONOTONIC at RECV
    std::uint32_t attempts = 0;  ///< number of picks of pids so far
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
    RemotePtr exit;         ///< see Architecture::exit_size()
};

} // namespace clone2
