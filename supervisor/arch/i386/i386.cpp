// SPDX-License-Identifier: MIT
#include "arch/i386/i386.hpp"

#include "arch/i386/slot_layout.h"
#include "arch/x86/bytes.hpp"
#include "arch/x86/registers.hpp"
#include "arch/x86/slot_tail.hpp"
#include "arch/x86/x86.hpp"

#include <sys/mman.h>
#include <sys/user.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <elf.h>
#include <linux/audit.h>
#include <linux/sched.h>

extern "C" {
extern const std::byte clone2_i386_begin[];
extern const std::byte clone2_i386_end[];
extern const std::byte clone2_i386_call[];
extern const std::byte clone2_i386_boot[];
extern const std::byte clone2_i386_report_mark[];
extern const std::byte clone2_i386_boot_report_mark[];
}

namespace clone2
{

namespace
{

/// A call's slot, as it is in the target's memory.
struct Slot {
    std::uint32_t self; ///< its own address; 0: never used
    std::uint32_t ebp_parent;
    std::uint32_t ebp_child;
    std::int32_t owner;
    std::uint32_t report;
    std::uint32_t plain;
    std::uint32_t exit_parent;
    std::uint32_t exit_child;
    std::uint32_t ebx;
    std::uint32_t ecx;
    std::uint32_t edx;
    std::uint32_t esi;
    std::uint32_t edi;
    std::uint32_t child_sp;
    std::uint32_t nr;
    std::uint32_t ret;
    x86::SlotTail tail;
};
static_assert(offsetof(CodeHeader, area) == I386_CODE_AREA);
static_assert(offsetof(Slot, self) == I386_SELF);
static_assert(offsetof(Slot, ebp_parent) == I386_EBP_PARENT);
static_assert(offsetof(Slot, ebp_child) == I386_EBP_CHILD);
static_assert(offsetof(Slot, owner) == I386_OWNER);
static_assert(offsetof(Slot, report) == I386_REPORT);
static_assert(offsetof(Slot, plain) == I386_PLAIN);
static_assert(offsetof(Slot, exit_parent) == I386_EXIT_PARENT);
static_assert(offsetof(Slot, exit_child) == I386_EXIT_CHILD);
static_assert(offsetof(Slot, ebx) == I386_EBX);
static_assert(offsetof(Slot, ecx) == I386_ECX);
static_assert(offsetof(Slot, edx) == I386_EDX);
static_assert(offsetof(Slot, esi) == I386_ESI);
static_assert(offsetof(Slot, edi) == I386_EDI);
static_assert(offsetof(Slot, child_sp) == I386_CHILD_SP);
static_assert(offsetof(Slot, nr) == I386_NR);
static_assert(offsetof(Slot, tail) + offsetof(x86::SlotTail, flags) == I386_CLONE_ARGS);
static_assert(offsetof(Slot, tail) + offsetof(x86::SlotTail, flags) ==
              I386_CLONE_ARGS + I386_ARGS_FLAGS);
static_assert(offsetof(Slot, tail) + offsetof(x86::SlotTail, child_tid) ==
              I386_CLONE_ARGS + I386_ARGS_CHILD_TID);
static_assert(offsetof(Slot, tail) + offsetof(x86::SlotTail, parent_tid) ==
              I386_CLONE_ARGS + I386_ARGS_PARENT_TID);
static_assert(offsetof(Slot, tail) + offsetof(x86::SlotTail, tls) ==
              I386_CLONE_ARGS + I386_ARGS_TLS);
static_assert(sizeof(Slot) <= I386_SLOT_SIZE);
static_assert(I386_CLONE_ARGS_SIZE == CLONE_ARGS_SIZE_VER1);

struct BootSlot {
    std::uint32_t nr;
    std::uint32_t ebp;
    std::uint32_t ebx;
    std::uint32_t ecx;
    std::uint32_t edx;
    std::uint32_t esi;
    std::uint32_t edi;
    std::uint32_t ret;
    std::uint32_t exit;
    std::int32_t owner;
    // The arguments of mmap(2) in its old form.
    std::uint32_t mmap_address;
    std::uint32_t mmap_length;
    std::uint32_t mmap_prot;
    std::uint32_t mmap_flags;
    std::uint32_t mmap_fd;
    std::uint32_t mmap_offset;
};
static_assert(offsetof(BootSlot, nr) == I386_BOOT_NR);
static_assert(offsetof(BootSlot, ebp) == I386_BOOT_EBP);
static_assert(I386_BOOT_EBP == I386_EBP_PARENT);
static_assert(offsetof(BootSlot, ebx) == I386_BOOT_EBX);
static_assert(offsetof(BootSlot, ecx) == I386_BOOT_ECX);
static_assert(offsetof(BootSlot, esi) == I386_BOOT_ESI);
static_assert(offsetof(BootSlot, exit) == I386_BOOT_EXIT);
static_assert(offsetof(BootSlot, owner) == I386_BOOT_OWNER);
static_assert(offsetof(BootSlot, mmap_address) == I386_BOOT_MMAP);

/// The end of the code for one place in the program. Each part restores ebp, and jumps there.
struct Exit {
    std::array<std::uint8_t, 8> parent; ///< and frees the slot, as far as the parent goes
    std::array<std::uint8_t, 8> child;  ///< and frees the slot, as far as the child goes
    std::array<std::uint8_t, 8> other;  ///< from memory that nobody else uses
};
static_assert(sizeof(Exit) == 24);

std::uint32_t low(std::uint64_t value)
{
    return static_cast<std::uint32_t>(value);
}

constexpr unsigned long long user32_cs = 0x23; // __USER32_CS of the kernel

class I386 final : public x86::X86
{
public:
    constexpr I386()
        : X86({clone2_i386_begin, clone2_i386_end, clone2_i386_call, clone2_i386_boot,
               clone2_i386_report_mark, clone2_i386_boot_report_mark},
              {{0xcd, 0x80}})
    {
    }

    [[nodiscard]] std::string_view name() const override { return "i386"; }

    [[nodiscard]] std::uint32_t audit_arch() const override { return AUDIT_ARCH_I386; }

    [[nodiscard]] unsigned char elf_class() const override { return ELFCLASS32; }

    [[nodiscard]] std::uint64_t user_end() const override
    {
        return 0xffffe000; // IA32_PAGE_OFFSET
    }

    [[nodiscard]] std::size_t tls_argument() const override { return 3; }

    [[nodiscard]] std::size_t slot_stride() const override { return I386_SLOT_SIZE; }

    [[nodiscard]] std::array<std::uint64_t, 6> layout() const override
    {
        return {I386_LAYOUT_VERSION, I386_AREA_SIZE,   I386_SLOT_SIZE,
                sizeof(Slot),        sizeof(BootSlot), sizeof(AreaHeader)};
    }

    [[nodiscard]] std::size_t area_size() const override { return I386_AREA_SIZE; }

    [[nodiscard]] std::size_t slot_size() const override { return sizeof(Slot); }

    [[nodiscard]] RemotePtr slot_of_report(std::uint64_t reported) const override
    {
        return RemotePtr{reported - I386_CLONE_ARGS};
    }

    [[nodiscard]] std::uint64_t owner_offset() const override { return I386_OWNER; }

    [[nodiscard]] std::uint64_t boot_owner_offset() const override { return I386_BOOT_OWNER; }

    [[nodiscard]] std::vector<std::byte> encode_slot(const SlotCall &call,
                                                     RemotePtr slot) const override
    {
        Slot raw{};
        raw.self = low(slot.value());
        // Parent and child both use the slot only if they share memory.
        const bool shared = (call.call.flags & CLONE_VM) != 0;
        raw.ebp_parent = low(call.saved_args[5]);
        raw.ebp_child = shared ? raw.ebp_parent : raw.self;
        raw.exit_parent = low((call.exit + offsetof(Exit, parent)).value());
        raw.exit_child =
            low((call.exit + (shared ? offsetof(Exit, child) : offsetof(Exit, other))).value());
        raw.owner = call.state.owner;
        raw.report = call.report_success ? 1 : 0;
        raw.plain = call.call.plain ? 1 : 0;
        raw.ret = low(call.return_address);
        raw.ebx = low(call.saved_args[0]);
        raw.ecx = low(call.saved_args[1]);
        raw.edx = low(call.saved_args[2]);
        raw.esi = low(call.saved_args[3]);
        raw.edi = low(call.saved_args[4]);
        raw.child_sp = low(call.call.child_sp);
        raw.nr = low(call.nr);
        raw.tail = x86::encode_tail(call, slot + offsetof(Slot, tail));
        return x86::to_bytes(raw, offsetof(Slot, tail) + raw.tail.used());
    }

    [[nodiscard]] SlotCall decode_slot(std::span<const std::byte> bytes) const override
    {
        const auto raw = x86::from_bytes<Slot>(bytes);
        SlotCall call;
        call.state = state_of(raw.self, raw.ebp_parent, raw.ebp_child, raw.owner);
        call.report_success = raw.report != 0;
        call.call.plain = raw.plain != 0;
        call.return_address = raw.ret;
        call.nr = raw.nr;
        call.saved_args = {raw.ebx, raw.ecx, raw.edx, raw.esi, raw.edi, raw.ebp_parent};
        call.exit = RemotePtr{raw.exit_parent} - offsetof(Exit, parent);
        call.call.child_sp = raw.child_sp;
        x86::decode_tail(raw.tail, call);
        return call;
    }

    [[nodiscard]] std::size_t state_size() const override { return I386_OWNER + sizeof(pid_t); }

    [[nodiscard]] SlotState decode_state(std::span<const std::byte> bytes) const override
    {
        const auto raw = x86::from_bytes<Slot>(bytes);
        return state_of(raw.self, raw.ebp_parent, raw.ebp_child, raw.owner);
    }

    [[nodiscard]] std::int64_t signed_value(std::uint64_t value) const override
    {
        return static_cast<std::int32_t>(value);
    }

    [[nodiscard]] std::int64_t boot_answer(RemotePtr area, RemotePtr slot) const override
    {
        return static_cast<std::int64_t>(slot.value() - area.value());
    }

    [[nodiscard]] std::size_t boot_slot_size() const override { return sizeof(BootSlot); }

    // The tail of the vdso is small.
    [[nodiscard]] std::size_t wanted_boot_slots() const override { return 2; }
    [[nodiscard]] std::size_t wanted_spare_slots() const override { return 0; }

    [[nodiscard]] std::vector<std::byte> encode_boot_slot(const BootCall &call) const override
    {
        BootSlot raw{};
        raw.nr = low(call.nr);
        raw.ebx = low(call.args[0]);
        raw.ecx = low(call.args[1]);
        raw.edx = low(call.args[2]);
        raw.esi = low(call.args[3]);
        raw.edi = low(call.args[4]);
        raw.ebp = low(call.args[5]);
        raw.ret = low(call.return_address);
        raw.exit = low((call.exit + offsetof(Exit, other)).value());
        raw.owner = call.owner;
        raw.mmap_length = I386_AREA_SIZE;
        raw.mmap_prot = PROT_READ | PROT_WRITE;
        raw.mmap_flags = MAP_PRIVATE | MAP_ANONYMOUS;
        raw.mmap_fd = low(~0ULL);
        return x86::to_bytes(raw);
    }

    [[nodiscard]] BootCall decode_boot_slot(std::span<const std::byte> bytes) const override
    {
        const auto raw = x86::from_bytes<BootSlot>(bytes);
        return BootCall{{raw.ebx, raw.ecx, raw.edx, raw.esi, raw.edi, raw.ebp},
                        raw.ret,
                        raw.nr,
                        raw.owner,
                        RemotePtr{raw.exit} - offsetof(Exit, other)};
    }

    [[nodiscard]] std::size_t exit_size() const override { return sizeof(Exit); }

    [[nodiscard]] std::vector<std::byte> encode_exit(RemotePtr exit,
                                                     std::uint64_t site) const override
    {
        const auto part = [&](std::size_t offset, std::uint8_t opcode, std::uint8_t from) {
            // xchg ebp, [ebp + from], or mov ebp, [ebp + from]; jmp site
            std::array<std::uint8_t, 8> bytes{opcode, 0x6d, from, 0xe9};
            const std::uint32_t distance = low(site - (exit.value() + offset + bytes.size()));
            std::memcpy(bytes.data() + 4, &distance, sizeof distance);
            return bytes;
        };
        constexpr std::uint8_t xchg = 0x87;
        constexpr std::uint8_t mov = 0x8b;
        return x86::to_bytes(Exit{part(offsetof(Exit, parent), xchg, I386_EBP_PARENT),
                                  part(offsetof(Exit, child), xchg, I386_EBP_CHILD),
                                  part(offsetof(Exit, other), mov, I386_EBP_PARENT)});
    }

    [[nodiscard]] Result<void> enter(const Tracee &tracee, const Notification &notification,
                                     bool answered, RemotePtr entry, RemotePtr slot) const override
    {
        return enter_by_rax(tracee, notification, answered, entry, slot, user32_cs);
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
        regs->rbx = call.saved_args[0];
        regs->rcx = call.saved_args[1];
        regs->rdx = call.saved_args[2];
        regs->rsi = call.saved_args[3];
        regs->rdi = call.saved_args[4];
        regs->rbp = call.saved_args[5];
        regs->rip = call.return_address;
        return x86::set_registers(tracee, *regs);
    }

private:
    static SlotState state_of(std::uint32_t self, std::uint32_t ebp_parent, std::uint32_t ebp_child,
                              std::int32_t owner)
    {
        const auto busy = [&](std::uint32_t ebp) {
            return static_cast<std::uint32_t>(self != 0 && ebp != self);
        };
        return {busy(ebp_parent), busy(ebp_child), owner};
    }
};

constexpr I386 instance;

} // namespace

const Architecture &i386 = instance;

} // namespace clone2
