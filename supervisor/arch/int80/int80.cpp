// SPDX-License-Identifier: MIT
#include "arch/int80/int80.hpp"

#include "arch/i386/i386.hpp"
#include "arch/int80/slot_layout.h"
#include "arch/x86/bytes.hpp"
#include "arch/x86/registers.hpp"
#include "arch/x86/slot_tail.hpp"
#include "arch/x86/x86.hpp"

#include <sys/user.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <elf.h>
#include <linux/sched.h>

extern "C" {
extern const std::byte clone2_int80_begin[];
extern const std::byte clone2_int80_end[];
extern const std::byte clone2_int80_call[];
extern const std::byte clone2_int80_boot[];
extern const std::byte clone2_int80_report_mark[];
extern const std::byte clone2_int80_boot_report_mark[];
}

namespace clone2
{

namespace
{

/// The program's registers, as a slot begins with them.
struct Registers {
    std::uint64_t first; ///< a call's slot: its own address, 0 if never used; a boot slot: nr
    std::uint64_t rbp;
    std::uint64_t rbp_child; ///< only in a call's slot
    std::uint64_t rbx;
    std::uint64_t rcx;
    std::uint64_t rdx;
    std::uint64_t rsi;
    std::uint64_t rdi;
};
static_assert(offsetof(Registers, first) == INT80_SELF);
static_assert(offsetof(Registers, first) == INT80_BOOT_NR);
static_assert(offsetof(Registers, rbp) == INT80_RBP);
static_assert(offsetof(Registers, rbp_child) == INT80_RBP_CHILD);
static_assert(offsetof(Registers, rbx) == INT80_RBX);
static_assert(offsetof(Registers, rcx) == INT80_RCX);
static_assert(offsetof(Registers, rdx) == INT80_RDX);
static_assert(offsetof(Registers, rsi) == INT80_RSI);
static_assert(offsetof(Registers, rdi) == INT80_RDI);

/// A call's slot, as it is in the target's memory.
struct Slot {
    Registers registers;
    std::int32_t owner;
    std::uint32_t report;
    std::uint32_t plain;
    std::uint32_t nr;
    std::uint64_t exit_parent;
    std::uint64_t exit_child;
    std::uint64_t child_sp;
    std::uint64_t ret;
    x86::SlotTail tail;
};
static_assert(offsetof(CodeHeader, area) == INT80_CODE_AREA);
static_assert(offsetof(Slot, owner) == INT80_OWNER);
static_assert(offsetof(Slot, report) == INT80_REPORT);
static_assert(offsetof(Slot, plain) == INT80_PLAIN);
static_assert(offsetof(Slot, nr) == INT80_NR);
static_assert(offsetof(Slot, exit_parent) == INT80_EXIT_PARENT);
static_assert(offsetof(Slot, exit_child) == INT80_EXIT_CHILD);
static_assert(offsetof(Slot, child_sp) == INT80_CHILD_SP);
static_assert(offsetof(Slot, tail) + offsetof(x86::SlotTail, flags) == INT80_CLONE_ARGS);
static_assert(offsetof(x86::SlotTail, child_tid) - offsetof(x86::SlotTail, flags) ==
              INT80_ARGS_CHILD_TID);
static_assert(offsetof(x86::SlotTail, parent_tid) - offsetof(x86::SlotTail, flags) ==
              INT80_ARGS_PARENT_TID);
static_assert(offsetof(x86::SlotTail, tls) - offsetof(x86::SlotTail, flags) == INT80_ARGS_TLS);
static_assert(sizeof(Slot) <= INT80_SLOT_SIZE);
static_assert(INT80_CLONE_ARGS_SIZE == CLONE_ARGS_SIZE_VER1);

struct BootSlot {
    Registers registers;
    std::uint64_t ret;
    std::uint64_t exit;
    std::int32_t owner;
    std::uint32_t unused;
};
static_assert(offsetof(BootSlot, exit) == INT80_BOOT_EXIT);
static_assert(offsetof(BootSlot, owner) == INT80_BOOT_OWNER);

/// The end of the code for one place in the program. Each part restores rbp, and jumps there.
struct Exit {
    std::array<std::uint8_t, 10> parent; ///< and frees the slot, as far as the parent goes
    std::array<std::uint8_t, 10> child;  ///< and frees the slot, as far as the child goes
    std::array<std::uint8_t, 10> other;  ///< from memory that nobody else uses
    std::array<std::uint8_t, 2> unused;
    std::uint64_t site;
};
static_assert(sizeof(Exit) == 40);

std::uint32_t low(std::uint64_t value)
{
    return static_cast<std::uint32_t>(value);
}

constexpr unsigned long long user_cs = 0x33; // __USER_CS of the kernel

Registers to_slot(std::uint64_t first, const std::array<std::uint64_t, 6> &args)
{
    const auto &[rbx, rcx, rdx, rsi, rdi, rbp] = args;
    return {first, rbp, 0, rbx, rcx, rdx, rsi, rdi};
}

std::array<std::uint64_t, 6> from_slot(const Registers &raw)
{
    return {raw.rbx, raw.rcx, raw.rdx, raw.rsi, raw.rdi, raw.rbp};
}

SlotState state_of(const Registers &raw, std::int32_t owner)
{
    const auto busy = [&](std::uint64_t rbp) {
        return static_cast<std::uint32_t>(raw.first != 0 && rbp != raw.first);
    };
    return {busy(raw.rbp), busy(raw.rbp_child), owner};
}

class Int80 final : public x86::X86
{
public:
    constexpr Int80()
        : X86({clone2_int80_begin, clone2_int80_end, clone2_int80_call, clone2_int80_boot,
               clone2_int80_report_mark, clone2_int80_boot_report_mark},
              {{0xcd, 0x80}})
    {
    }

    // What a call means is i386's.
    [[nodiscard]] std::string_view name() const override { return i386.name(); }
    [[nodiscard]] std::uint32_t audit_arch() const override { return i386.audit_arch(); }
    [[nodiscard]] std::uint64_t user_end() const override { return i386.user_end(); }
    [[nodiscard]] std::size_t tls_argument() const override { return i386.tls_argument(); }

    // Where things are in the program is x86-64's.
    [[nodiscard]] unsigned char elf_class() const override { return ELFCLASS64; }

    [[nodiscard]] std::size_t slot_stride() const override { return INT80_SLOT_SIZE; }

    [[nodiscard]] std::array<std::uint64_t, 6> layout() const override
    {
        return {INT80_LAYOUT_VERSION, INT80_AREA_SIZE,  INT80_SLOT_SIZE,
                sizeof(Slot),         sizeof(BootSlot), sizeof(AreaHeader)};
    }

    [[nodiscard]] std::size_t area_size() const override { return INT80_AREA_SIZE; }

    [[nodiscard]] std::size_t slot_size() const override { return sizeof(Slot); }

    [[nodiscard]] RemotePtr slot_of_report(std::uint64_t reported) const override
    {
        return RemotePtr{reported - INT80_CLONE_ARGS};
    }

    // Reported is the lower half of its address; it lies in the code's page.
    [[nodiscard]] RemotePtr boot_slot_of_report(const Notification &notification) const override
    {
        constexpr std::uint64_t half = 0xffffffff;
        return RemotePtr{(notification.instruction_pointer & ~half) | low(notification.args[3])};
    }

    [[nodiscard]] std::uint64_t owner_offset() const override { return INT80_OWNER; }

    [[nodiscard]] std::uint64_t boot_owner_offset() const override { return INT80_BOOT_OWNER; }

    [[nodiscard]] std::vector<std::byte> encode_slot(const SlotCall &call,
                                                     RemotePtr slot) const override
    {
        Slot raw{};
        raw.registers = to_slot(slot.value(), call.saved_args);
        // Parent and child both use the slot only if they share memory.
        const bool shared = (call.call.flags & CLONE_VM) != 0;
        raw.registers.rbp_child = shared ? raw.registers.rbp : slot.value();
        raw.exit_parent = (call.exit + offsetof(Exit, parent)).value();
        raw.exit_child =
            (call.exit + (shared ? offsetof(Exit, child) : offsetof(Exit, other))).value();
        raw.owner = call.state.owner;
        raw.report = call.report_success ? 1 : 0;
        raw.plain = call.call.plain ? 1 : 0;
        raw.nr = low(call.nr);
        raw.ret = call.return_address;
        raw.child_sp = low(call.call.child_sp);
        raw.tail = x86::encode_tail(call, slot + offsetof(Slot, tail));
        return x86::to_bytes(raw, offsetof(Slot, tail) + raw.tail.used());
    }

    [[nodiscard]] SlotCall decode_slot(std::span<const std::byte> bytes) const override
    {
        const auto raw = x86::from_bytes<Slot>(bytes);
        SlotCall call;
        call.state = state_of(raw.registers, raw.owner);
        call.report_success = raw.report != 0;
        call.call.plain = raw.plain != 0;
        call.return_address = raw.ret;
        call.nr = raw.nr;
        call.saved_args = from_slot(raw.registers);
        call.exit = RemotePtr{raw.exit_parent} - offsetof(Exit, parent);
        call.call.child_sp = raw.child_sp;
        x86::decode_tail(raw.tail, call);
        return call;
    }

    [[nodiscard]] std::size_t state_size() const override { return INT80_OWNER + sizeof(pid_t); }

    [[nodiscard]] SlotState decode_state(std::span<const std::byte> bytes) const override
    {
        const auto raw = x86::from_bytes<Slot>(bytes);
        return state_of(raw.registers, raw.owner);
    }

    [[nodiscard]] std::int64_t signed_value(std::uint64_t value) const override
    {
        return i386.signed_value(value);
    }

    [[nodiscard]] std::array<std::uint64_t, 6>
    arguments(const std::array<std::uint64_t, 6> &registers) const override
    {
        std::array<std::uint64_t, 6> args{};
        std::transform(registers.begin(), registers.end(), args.begin(), low);
        return args;
    }

    [[nodiscard]] std::int64_t boot_answer(RemotePtr area, RemotePtr slot) const override
    {
        return static_cast<std::int64_t>(slot.value() - area.value());
    }

    [[nodiscard]] std::size_t boot_slot_size() const override { return sizeof(BootSlot); }

    [[nodiscard]] std::size_t wanted_boot_slots() const override { return 2; }
    [[nodiscard]] std::size_t wanted_spare_slots() const override { return 0; }

    [[nodiscard]] std::vector<std::byte> encode_boot_slot(const BootCall &call) const override
    {
        return x86::to_bytes(BootSlot{to_slot(low(call.nr), call.args), call.return_address,
                                      (call.exit + offsetof(Exit, other)).value(), call.owner, 0});
    }

    [[nodiscard]] BootCall decode_boot_slot(std::span<const std::byte> bytes) const override
    {
        const auto raw = x86::from_bytes<BootSlot>(bytes);
        return BootCall{from_slot(raw.registers), raw.ret, raw.registers.first, raw.owner,
                        RemotePtr{raw.exit} - offsetof(Exit, other)};
    }

    [[nodiscard]] std::size_t exit_size() const override { return sizeof(Exit); }

    [[nodiscard]] std::vector<std::byte> encode_exit(RemotePtr /*exit*/,
                                                     std::uint64_t site) const override
    {
        const auto part = [](std::size_t offset, std::uint8_t opcode, std::uint8_t from) {
            // xchg rbp, [rbp + from], or mov rbp, [rbp + from]; jmp [rip + distance]
            std::array<std::uint8_t, 10> bytes{0x48, opcode, 0x6d, from, 0xff, 0x25};
            const auto distance = low(offsetof(Exit, site) - (offset + bytes.size()));
            std::memcpy(bytes.data() + 6, &distance, sizeof distance);
            return bytes;
        };
        constexpr std::uint8_t xchg = 0x87;
        constexpr std::uint8_t mov = 0x8b;
        return x86::to_bytes(Exit{part(offsetof(Exit, parent), xchg, INT80_RBP),
                                  part(offsetof(Exit, child), xchg, INT80_RBP_CHILD),
                                  part(offsetof(Exit, other), mov, INT80_RBP),
                                  {},
                                  site});
    }

    [[nodiscard]] Result<void> enter(const Tracee &tracee, const Notification &notification,
                                     bool answered, RemotePtr entry, RemotePtr slot) const override
    {
        return enter_by_rax(tracee, notification, answered, entry, slot, user_cs);
    }

    [[nodiscard]] Result<void> leave(const Tracee &tracee, const SlotCall &call,
                                     std::int64_t result) const override
    {
        return i386.leave(tracee, call, result);
    }
};

constexpr Int80 instance;

} // namespace

const Architecture &int80 = instance;

} // namespace clone2
