// SPDX-License-Identifier: MIT
#include "arch/x86_64/x86_64.hpp"

#include "arch/x86/bytes.hpp"
#include "arch/x86/registers.hpp"
#include "arch/x86/slot_tail.hpp"
#include "arch/x86/x86.hpp"
#include "arch/x86_64/slot_layout.h"
// slot_layout.h is also used by assembly, where EINTR must be a macro of its own.
#undef EINTR

#include <sys/user.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <elf.h>
#include <linux/audit.h>
#include <linux/sched.h>

extern "C" {
extern const std::byte clone2_trampoline_begin[];
extern const std::byte clone2_trampoline_end[];
extern const std::byte clone2_trampoline_call[];
extern const std::byte clone2_trampoline_boot[];
extern const std::byte clone2_trampoline_report_mark[];
extern const std::byte clone2_trampoline_boot_report_mark[];
}

namespace clone2
{

namespace
{

/// A call's slot as it is in the target.
struct Slot {
    std::uint32_t parent_busy;
    std::uint32_t child_busy;
    std::int32_t owner;
    std::uint16_t report;
    std::uint16_t plain;
    std::uint64_t ret;
    std::uint64_t rdi;
    std::uint64_t rsi;
    std::uint64_t child_sp;
    std::uint64_t nr;
    x86::SlotTail tail;
    // Written by the code itself, except for a spare slot.
    std::uint64_t rdx;
    std::uint64_t r10;
    std::uint64_t r9;
};
static_assert(offsetof(CodeHeader, area) == CODE_AREA);
static_assert(offsetof(Slot, parent_busy) == SLOT_PARENT_BUSY);
static_assert(offsetof(Slot, child_busy) == SLOT_CHILD_BUSY);
static_assert(offsetof(Slot, owner) == SLOT_OWNER);
static_assert(offsetof(Slot, report) == SLOT_REPORT);
static_assert(offsetof(Slot, plain) == SLOT_PLAIN);
static_assert(offsetof(Slot, ret) == SLOT_RET);
static_assert(offsetof(Slot, rdi) == SLOT_RDI);
static_assert(offsetof(Slot, rsi) == SLOT_RSI);
static_assert(offsetof(Slot, child_sp) == SLOT_CHILD_SP);
static_assert(offsetof(Slot, nr) == SLOT_NR);
static_assert(offsetof(Slot, tail) + offsetof(x86::SlotTail, flags) == SLOT_CLONE_ARGS);
static_assert(offsetof(Slot, tail) + offsetof(x86::SlotTail, flags) == SLOT_FLAGS);
static_assert(offsetof(Slot, tail) + offsetof(x86::SlotTail, child_tid) == SLOT_CHILD_TID);
static_assert(offsetof(Slot, tail) + offsetof(x86::SlotTail, parent_tid) == SLOT_PARENT_TID);
static_assert(offsetof(Slot, rdx) == SLOT_RDX);
static_assert(offsetof(Slot, r10) == SLOT_R10);
static_assert(offsetof(Slot, r9) == SLOT_R9);
static_assert(sizeof(Slot) <= SLOT_SIZE);
static_assert(CLONE_ARGS_SIZE == CLONE_ARGS_SIZE_VER1);

struct BootSlot {
    std::uint64_t rdi;
    std::uint64_t rsi;
    std::uint64_t rdx;
    std::uint64_t r10;
    std::uint64_t r8;
    std::uint64_t r9;
    std::uint64_t ret;
    std::uint64_t nr;
    std::int32_t owner;
    std::uint32_t unused;
};
static_assert(offsetof(BootSlot, owner) == BOOT_OWNER);
static_assert(offsetof(BootSlot, rdi) == BOOT_RDI);
static_assert(offsetof(BootSlot, rsi) == BOOT_RSI);
static_assert(offsetof(BootSlot, rdx) == BOOT_RDX);
static_assert(offsetof(BootSlot, r10) == BOOT_R10);
static_assert(offsetof(BootSlot, r8) == BOOT_R8);
static_assert(offsetof(BootSlot, r9) == BOOT_R9);
static_assert(offsetof(BootSlot, ret) == BOOT_RET);
static_assert(offsetof(BootSlot, nr) == BOOT_NR);

class X86_64 final : public x86::X86
{
public:
    constexpr X86_64()
        : X86({clone2_trampoline_begin, clone2_trampoline_end, clone2_trampoline_call,
               clone2_trampoline_boot, clone2_trampoline_report_mark,
               clone2_trampoline_boot_report_mark},
              {{0x0f, 0x05}})
    {
    }

    [[nodiscard]] std::string_view name() const override { return "x86_64"; }

    [[nodiscard]] std::uint32_t audit_arch() const override { return AUDIT_ARCH_X86_64; }

    [[nodiscard]] const UnservedAbi *unserved_abi() const override
    {
        static constexpr UnservedAbi x32{"x32", 0x40000000, EM_X86_64 | __AUDIT_ARCH_LE};
        return &x32;
    }

    [[nodiscard]] unsigned char elf_class() const override { return ELFCLASS64; }

    [[nodiscard]] std::uint64_t user_end() const override
    {
        return (1ULL << 47) - page_size(); // TASK_SIZE_MAX with 4-level page tables
    }

    [[nodiscard]] std::size_t tls_argument() const override { return 4; }

    [[nodiscard]] std::size_t slot_stride() const override { return SLOT_SIZE; }

    [[nodiscard]] std::array<std::uint64_t, 6> layout() const override
    {
        return {LAYOUT_VERSION, AREA_SIZE,        SLOT_SIZE,
                sizeof(Slot),   sizeof(BootSlot), sizeof(AreaHeader)};
    }

    [[nodiscard]] std::size_t area_size() const override { return AREA_SIZE; }

    [[nodiscard]] std::size_t slot_size() const override { return sizeof(Slot); }

    [[nodiscard]] RemotePtr slot_of_report(std::uint64_t reported) const override
    {
        return RemotePtr{reported - SLOT_CLONE_ARGS};
    }

    [[nodiscard]] std::uint64_t owner_offset() const override { return SLOT_OWNER; }

    [[nodiscard]] std::uint64_t boot_owner_offset() const override { return BOOT_OWNER; }

    [[nodiscard]] std::vector<std::byte> encode_slot(const SlotCall &call,
                                                     RemotePtr slot) const override
    {
        Slot raw{};
        // The target can't write a spare slot, so it has no flags to clear.
        raw.parent_busy = call.spare ? 0 : 1;
        // Parent and child both use the slot only if they share memory.
        raw.child_busy = !call.spare && (call.call.flags & CLONE_VM) != 0 ? 1 : 0;
        raw.owner = call.state.owner;
        raw.report = call.report_success ? 1 : 0;
        raw.plain = call.call.plain ? 1 : 0;
        raw.ret = call.return_address;
        raw.rdi = call.saved_args[0];
        raw.rsi = call.saved_args[1];
        raw.child_sp = call.call.child_sp;
        raw.nr = call.nr;
        raw.tail = x86::encode_tail(call, slot + offsetof(Slot, tail));
        raw.rdx = call.saved_args[2];
        raw.r10 = call.saved_args[3];
        raw.r9 = call.saved_args[5];
        return x86::to_bytes(raw, call.spare ? sizeof raw : offsetof(Slot, tail) + raw.tail.used());
    }

    [[nodiscard]] SlotCall decode_slot(std::span<const std::byte> bytes) const override
    {
        const auto raw = x86::from_bytes<Slot>(bytes);
        SlotCall call;
        call.state = {raw.parent_busy, raw.child_busy, raw.owner};
        call.report_success = raw.report != 0;
        call.return_address = raw.ret;
        call.nr = raw.nr;
        call.saved_args = {raw.rdi, raw.rsi, raw.rdx, raw.r10, 0, raw.r9};
        call.call.child_sp = raw.child_sp;
        call.call.plain = raw.plain != 0;
        x86::decode_tail(raw.tail, call);
        return call;
    }

    [[nodiscard]] std::size_t state_size() const override { return sizeof(SlotState); }

    [[nodiscard]] SlotState decode_state(std::span<const std::byte> bytes) const override
    {
        return x86::from_bytes<SlotState>(bytes);
    }

    [[nodiscard]] std::size_t boot_slot_size() const override { return sizeof(BootSlot); }

    [[nodiscard]] std::vector<std::byte> encode_boot_slot(const BootCall &call) const override
    {
        const auto &[rdi, rsi, rdx, r10, r8, r9] = call.args;
        return x86::to_bytes(
            BootSlot{rdi, rsi, rdx, r10, r8, r9, call.return_address, call.nr, call.owner, 0});
    }

    [[nodiscard]] BootCall decode_boot_slot(std::span<const std::byte> bytes) const override
    {
        const auto raw = x86::from_bytes<BootSlot>(bytes);
        return BootCall{
            {raw.rdi, raw.rsi, raw.rdx, raw.r10, raw.r8, raw.r9}, raw.ret, raw.nr, raw.owner, {}};
    }

    [[nodiscard]] Result<void> leave(const Tracee &tracee, const SlotCall &call,
                                     std::int64_t result) const override
    {
        auto regs = x86::get_registers(tracee);
        if (!regs) {
            return regs.error();
        }
        regs->orig_rax = x86::no_restart;
        regs->rax = static_cast<unsigned long long>(result);
        regs->rdi = call.saved_args[0];
        regs->rsi = call.saved_args[1];
        regs->rcx = call.return_address;
        regs->rip = call.return_address;
        return x86::set_registers(tracee, *regs);
    }

    [[nodiscard]] Result<void> enter(const Tracee &tracee, const Notification &notification,
                                     bool answered, RemotePtr entry, RemotePtr slot) const override
    {
        auto regs = x86::get_registers(tracee);
        if (!regs) {
            return regs.error();
        }
        if (!x86::is_there(*regs, notification, answered)) {
            return Error(Cause::target_moved, tracee.tid());
        }
        // One write of all registers is the commit point: until then rax holds the answer. On older
        // kernels an interrupt just before an answer that was taken can end the call all the same,
        // as one to be restarted ("seccomp: Fix a race with WAIT_KILLABLE_RECV", 6.17): it would
        // be, two bytes before our code, if only the program counter were written.
        regs->orig_rax = x86::no_restart;
        regs->rax = static_cast<unsigned long long>(-ENOSYS);
        regs->r11 = slot.value();
        regs->rip = entry.value();
        return x86::set_registers(tracee, *regs);
    }
};

constexpr X86_64 instance;

} // namespace

const Architecture &x86_64 = instance;

} // namespace clone2
