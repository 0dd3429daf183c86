// SPDX-License-Identifier: MIT
#pragma once

#include "arch/slot.hpp"
#include "base/remote_ptr.hpp"
#include "base/result.hpp"
#include "listener/notification.hpp"
#include "target/tracee.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace clone2
{

/// Everything that depends on a target's architecture: its registers, its memory, and our code and
/// data in it. One constant object per architecture, each in a separate folder.
///
/// Thread-safe: no state. Addresses and registers are 64 bits wide here for every architecture.
class Architecture
{
public:
    Architecture() = default;
    Architecture(const Architecture &) = delete;
    Architecture &operator=(const Architecture &) = delete;

    [[nodiscard]] virtual std::string_view name() const = 0;
    [[nodiscard]] virtual std::uint32_t audit_arch() const = 0; ///< AUDIT_ARCH_*
    /// Another ABI of the same AUDIT_ARCH, whose programs are not served.
    struct UnservedAbi {
        std::string_view name;
        int number_bit;           ///< set in the numbers of its calls
        std::uint32_t audit_arch; ///< libseccomp's name for it; the kernel has none
    };
    /// nullptr: there is none.
    [[nodiscard]] virtual const UnservedAbi *unserved_abi() const { return nullptr; }
    /// ELFCLASS32 or ELFCLASS64.
    [[nodiscard]] virtual unsigned char elf_class() const = 0;
    [[nodiscard]] virtual std::uint64_t page_size() const = 0; ///< bytes
    /// The end of user addresses. Beyond it clone3 may refuse a stack that clone(2) accepts.
    [[nodiscard]] virtual std::uint64_t user_end() const = 0;
    /// What counts of a field of 64 bits that holds an address: as much as a register has.
    [[nodiscard]] std::uint64_t address(std::uint64_t field) const
    {
        return user_end() <= UINT32_MAX ? static_cast<std::uint32_t>(field) : field;
    }
    /// Index of the argument from which clone(2) takes the value for CLONE_SETTLS.
    [[nodiscard]] virtual std::size_t tls_argument() const = 0;

    /// The code, with the signature in place.
    [[nodiscard]] virtual std::vector<std::byte> make_code(const Signature &signature) const = 0;
    /// The parts of the interface between code and supervisor that the code's bytes do not show.
    [[nodiscard]] virtual std::array<std::uint64_t, 6> layout() const = 0;
    [[nodiscard]] virtual std::size_t code_size() const = 0;     ///< bytes
    [[nodiscard]] virtual std::uint64_t call_entry() const = 0;  ///< offset in the code
    [[nodiscard]] virtual std::uint64_t boot_entry() const = 0;  ///< offset in the code
    [[nodiscard]] virtual std::uint64_t mark_offset() const = 0; ///< see CodeMark
    /// The start of the code whose boot report has this instruction pointer.
    [[nodiscard]] virtual RemotePtr
    code_of_boot_report(std::uint64_t instruction_pointer) const = 0;

    [[nodiscard]] virtual std::size_t area_size() const = 0; ///< bytes
    [[nodiscard]] virtual std::size_t slot_size() const = 0; ///< bytes
    /// Distance from one slot to the next, in bytes.
    [[nodiscard]] virtual std::size_t slot_stride() const = 0;
    /// The number of slots in the area. The first one's room holds the area's header.
    [[nodiscard]] std::uint32_t slot_count() const
    {
        return static_cast<std::uint32_t>(area_size() / slot_stride() - 1);
    }
    /// Offset of a slot in the area; index < slot_count().
    [[nodiscard]] std::uint64_t slot_offset(std::uint32_t index) const
    {
        return (static_cast<std::uint64_t>(index) + 1) * slot_stride();
    }
    /// The slot's address, from the first argument of a report.
    [[nodiscard]] virtual RemotePtr slot_of_report(std::uint64_t reported) const = 0;
    /// The boot slot's, from a boot report.
    [[nodiscard]] virtual RemotePtr boot_slot_of_report(const Notification &notification) const
    {
        return RemotePtr{notification.args[0]};
    }
    /// What a call finds in these registers, which may be wider than its arguments.
    [[nodiscard]] virtual std::array<std::uint64_t, 6>
    arguments(const std::array<std::uint64_t, 6> &registers) const
    {
        return registers;
    }
    /// The slot's contents, as many bytes as are needed. `slot`: its address in the target.
    [[nodiscard]] virtual std::vector<std::byte> encode_slot(const SlotCall &call,
                                                             RemotePtr slot) const = 0;
    [[nodiscard]] virtual SlotCall decode_slot(std::span<const std::byte> bytes) const = 0;
    /// What the first state_size() bytes of a slot say. Eight zeros there make it free.
    [[nodiscard]] virtual std::size_t state_size() const = 0;
    [[nodiscard]] virtual SlotState decode_state(std::span<const std::byte> bytes) const = 0;
    /// Offset of the owner in a slot, and in a boot slot.
    [[nodiscard]] virtual std::uint64_t owner_offset() const = 0;
    [[nodiscard]] virtual std::uint64_t boot_owner_offset() const = 0;

    /// A register of a report as a signed number: a -errno is negative.
    [[nodiscard]] virtual std::int64_t signed_value(std::uint64_t value) const
    {
        return static_cast<std::int64_t>(value);
    }
    /// The answer to a boot report: the slot of the call, as the code wants to be given it.
    [[nodiscard]] virtual std::int64_t boot_answer(RemotePtr /*area*/, RemotePtr slot) const
    {
        return static_cast<std::int64_t>(slot.value());
    }

    [[nodiscard]] virtual std::size_t boot_slot_size() const = 0; ///< bytes
    /// How many boot slots there should be, and spare slots, where there is room.
    [[nodiscard]] virtual std::size_t wanted_boot_slots() const { return 8; }
    [[nodiscard]] virtual std::size_t wanted_spare_slots() const { return 2; }
    [[nodiscard]] virtual std::vector<std::byte> encode_boot_slot(const BootCall &call) const = 0;
    [[nodiscard]] virtual BootCall decode_boot_slot(std::span<const std::byte> bytes) const = 0;

    /// Bytes of an exit, a multiple of 8; 0: this architecture's code needs none. An exit is the
    /// last of the code that a call runs through, made for one place in the program: see Exits.
    [[nodiscard]] virtual std::size_t exit_size() const { return 0; }
    /// An exit to lie at `exit`, for calls that return to `site`. Its first byte is never 0.
    [[nodiscard]] virtual std::vector<std::byte> encode_exit(RemotePtr /*exit*/,
                                                             std::uint64_t /*site*/) const
    {
        return {};
    }

    // The functions below act on a stopped tracee. Its system call has been answered (`answered`),
    // or the stop itself has ended its notification early (no WAIT_KILLABLE_RECV).
    // Cause::target_moved: the tracee is no longer there. If the supervisor dies in one of them,
    // the call has ended or completes as asked.

    /// Sends it to `entry` with `slot`. The call must have been answered with an error, which stays
    /// in force until the last step.
    [[nodiscard]] virtual Result<void> enter(const Tracee &tracee, const Notification &notification,
                                             bool answered, RemotePtr entry,
                                             RemotePtr slot) const = 0;
    /// Sends it back to its own system-call instruction, to repeat the call under number `nr`. Also
    /// target_moved if we don't know that instruction.
    [[nodiscard]] virtual Result<void> reissue(const Tracee &tracee,
                                               const Notification &notification, int nr,
                                               bool answered) const = 0;
    /// Ends its call with `result` instead of the answer.
    [[nodiscard]] virtual Result<void> end_call(const Tracee &tracee,
                                                const Notification &notification, bool answered,
                                                std::int64_t result) const = 0;
    /// Takes it out of our code in one step, after its report from a spare slot has been answered:
    /// it continues after its own call's instruction, with the call's result.
    [[nodiscard]] virtual Result<void> leave(const Tracee &tracee, const SlotCall &call,
                                             std::int64_t result) const = 0;

protected:
    ~Architecture() = default;
};

/// The architectures that this build serves; the first is the supervisor's own.
[[nodiscard]] std::span<const Architecture *const> architectures();
/// These, and the others whose code may be in a target.
[[nodiscard]] std::span<const Architecture *const> code_architectures();
/// For calls of this architecture by programs with wider registers; nullptr: there are none such.
[[nodiscard]] const Architecture *architecture_in_wider_programs(const Architecture &arch);
/// nullptr: not served.
[[nodiscard]] const Architecture *find_architecture(std::uint32_t audit_arch);
/// The architecture of a call's caller, which must be one that is served.
[[nodiscard]] const Architecture &architecture_of(const Notification &notification);
[[nodiscard]] const Architecture &native_architecture();
/// For messages; accepts any AUDIT_ARCH_* value: "i386", or "0xc00000b7" if it has no name here.
[[nodiscard]] std::string architecture_name(std::uint32_t audit_arch);

} // namespace clone2
