// SPDX-License-Identifier: MIT
#include "arch/architecture.hpp"

#include "arch/x86_64/slot_layout.h"
#include "target/memory.hpp"
// slot_layout.h is also used by assembly, where EINTR must be a macro of its own.
#undef EINTR

#include <sys/ptrace.h>
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
static_assert(offsetof(Slot, flags) == SLOT_CLONE_ARGS);
static_assert(offsetof(Slot, flags) == SLOT_FLAGS);
static_assert(offsetof(Slot, child_tid) == SLOT_CHILD_TID);
static_assert(offsetof(Slot, parent_tid) == SLOT_PARENT_TID);
static_assert(offsetof(Slot, rdx) == SLOT_RDX);
static_assert(offsetof(Slot, r10) == SLOT_R10);
static_assert(offsetof(Slot, r9) == SLOT_R9);
static_assert(offsetof(Slot, set_tid) - offsetof(Slot, flags) == CLONE_ARGS_SIZE);
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

constexpr std::uint16_t spare_index = 0xffff;

std::uint64_t offset_of(const std::byte *label)
{
    return static_cast<std::uint64_t>(label - clone2_trampoline_begin);
}

template <typename T>
T from_bytes(std::span<const std::byte> bytes)
{
    T value{};
    if (!bytes.empty()) {
        std::memcpy(&value, bytes.data(), std::min(sizeof value, bytes.size()));
    }
    return value;
}

template <typename T>
std::vector<std::byte> to_bytes(const T &value, std::size_t size = sizeof(T))
{
    std::vector<std::byte> bytes(size);
    std::memcpy(bytes.data(), &value, size);
    return bytes;
}

Result<void> poke_register(const Tracee &tracee, std::size_t offset, std::uint64_t value)
{
    if (::ptrace(PTRACE_POKEUSER, tracee.tid(), reinterpret_cast<void *>(offset),
                 reinterpret_cast<void *>(value)) != 0) {
        return last_error("ptrace(PTRACE_POKEUSER)", tracee.tid());
    }
    return {};
}

/// The kernel's codes for "interrupted, may be restarted" (linux/errno.h, not visible to user
/// space).
bool is_restart_code(std::int64_t rax)
{
    constexpr std::int64_t erestartsys = 512;
    constexpr std::int64_t erestart_restartblock = 516;
    return -rax >= erestartsys && -rax <= erestart_restartblock;
}

/// Whether the stop has ended the wait for our answer (no WAIT_KILLABLE_RECV), and nothing else has
/// happened since.
bool is_cut_short(const user_regs_struct &regs, const Notification &notification)
{
    return regs.rip == notification.instruction_pointer &&
           static_cast<int>(regs.orig_rax) == notification.nr &&
           is_restart_code(static_cast<std::int64_t>(regs.rax));
}

constexpr std::array<std::uint8_t, 2> syscall_instruction{0x0f, 0x05};

Result<user_regs_struct> get_registers(const Tracee &tracee)
{
    user_regs_struct regs{};
    if (::ptrace(PTRACE_GETREGS, tracee.tid(), nullptr, &regs) != 0) {
        return last_error("ptrace(PTRACE_GETREGS)", tracee.tid());
    }
    return regs;
}

Result<void> set_registers(const Tracee &tracee, const user_regs_struct &regs)
{
    if (::ptrace(PTRACE_SETREGS, tracee.tid(), nullptr, &regs) != 0) {
        return last_error("ptrace(PTRACE_SETREGS)", tracee.tid());
    }
    return {};
}

Error elsewhere(const Tracee &tracee)
{
    return Error{"ptrace(PTRACE_GETREGS)", tracee.tid(), ESTALE};
}

/// orig_rax: there is no system call to restart.
constexpr unsigned long long no_restart = ~0ULL;
constexpr std::uint64_t jump_size = 2;

class X86_64 final : public Architecture
{
public:
    [[nodiscard]] std::string_view name() const override { return "x86_64"; }

    [[nodiscard]] std::uint32_t audit_arch() const override { return AUDIT_ARCH_X86_64; }

    [[nodiscard]] unsigned char elf_class() const override { return ELFCLASS64; }

    [[nodiscard]] std::uint64_t page_size() const override { return 4096; }

    [[nodiscard]] std::uint64_t user_end() const override
    {
        return (1ULL << 47) - page_size(); // TASK_SIZE_MAX with 4-level page tables
    }

    [[nodiscard]] std::size_t tls_argument() const override { return 4; }

    [[nodiscard]] std::uint64_t mark_offset() const override { return jump_size; }

    [[nodiscard]] std::size_t slot_stride() const override { return SLOT_SIZE; }

    [[nodiscard]] std::size_t code_size() const override
    {
        return offset_of(clone2_trampoline_end);
    }

    [[nodiscard]] std::uint64_t call_entry() const override
    {
        return offset_of(clone2_trampoline_call);
    }

    [[nodiscard]] std::uint64_t boot_entry() const override
    {
        return offset_of(clone2_trampoline_boot);
    }

    [[nodiscard]] std::vector<std::byte> make_code(const Signature &signature) const override
    {
        std::vector<std::byte> code(clone2_trampoline_begin, clone2_trampoline_end);
        std::memcpy(code.data(), signature.data(), sizeof signature);
        for (const std::byte *const mark :
             {clone2_trampoline_report_mark, clone2_trampoline_boot_report_mark}) {
            std::memcpy(code.data() + offset_of(mark) + sizeof CodeMark::mark, signature.data(),
                        sizeof CodeMark::signature);
        }
        return code;
    }

    [[nodiscard]] RemotePtr code_of_boot_report(std::uint64_t instruction_pointer) const override
    {
        return RemotePtr{instruction_pointer + jump_size -
                         offset_of(clone2_trampoline_boot_report_mark)};
    }

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

    [[nodiscard]] std::uint64_t set_tid_offset() const override { return offsetof(Slot, set_tid); }

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
        raw.started_ns = call.started_ns;
        raw.to_pick = call.call.to_pick;
        raw.request_flags = call.request_flags;
        raw.nr_pids = call.nr_pids;
        raw.attempts = static_cast<std::uint16_t>(call.attempts);
        raw.index = call.spare ? spare_index : static_cast<std::uint16_t>(call.index);
        raw.flags = call.call.flags;
        raw.pidfd = call.call.pidfd;
        raw.child_tid = call.call.child_tid;
        raw.parent_tid = call.call.parent_tid;
        raw.exit_signal = call.call.exit_signal;
        raw.stack = call.call.stack;
        raw.stack_size = call.call.stack_size;
        raw.tls = call.call.tls;
        raw.set_tid_size = call.call.set_tid_size;
        if (call.call.set_tid_size != 0) {
            raw.set_tid_address = (slot + offsetof(Slot, set_tid)).value();
        }
        std::copy(std::begin(call.call.set_tid), std::end(call.call.set_tid), raw.set_tid.begin());
        raw.rdx = call.saved_args[2];
        raw.r10 = call.saved_args[3];
        raw.r9 = call.saved_args[5];
        return to_bytes(raw, call.spare ? sizeof raw
                                        : offsetof(Slot, set_tid) +
                                              call.call.set_tid_size * sizeof(pid_t));
    }

    [[nodiscard]] SlotCall decode_slot(std::span<const std::byte> bytes) const override
    {
        const auto raw = from_bytes<Slot>(bytes);
        SlotCall call;
        call.state = {raw.parent_busy, raw.child_busy, raw.owner};
        call.index = raw.index;
        call.spare = raw.index == spare_index;
        call.report_success = raw.report != 0;
        call.return_address = raw.ret;
        call.nr = raw.nr;
        call.saved_args = {raw.rdi, raw.rsi, raw.rdx, raw.r10, 0, raw.r9};
        call.started_ns = raw.started_ns;
        call.attempts = raw.attempts;
        call.request_flags = raw.request_flags;
        call.nr_pids = raw.nr_pids;
        call.call.flags = raw.flags;
        call.call.pidfd = raw.pidfd;
        call.call.child_tid = raw.child_tid;
        call.call.parent_tid = raw.parent_tid;
        call.call.exit_signal = raw.exit_signal;
        call.call.stack = raw.stack;
        call.call.stack_size = raw.stack_size;
        call.call.tls = raw.tls;
        call.call.child_sp = raw.child_sp;
        std::copy(raw.set_tid.begin(), raw.set_tid.end(), call.call.set_tid);
        call.call.set_tid_size = std::min<std::uint64_t>(raw.set_tid_size, raw.set_tid.size());
        call.call.to_pick = raw.to_pick;
        call.call.plain = raw.plain != 0;
        return call;
    }

    [[nodiscard]] std::size_t boot_slot_size() const override { return sizeof(BootSlot); }

    [[nodiscard]] std::vector<std::byte> encode_boot_slot(const BootCall &call) const override
    {
        const auto &[rdi, rsi, rdx, r10, r8, r9] = call.args;
        return to_bytes(
            BootSlot{rdi, rsi, rdx, r10, r8, r9, call.return_address, call.nr, call.owner, 0});
    }

    [[nodiscard]] BootCall decode_boot_slot(std::span<const std::byte> bytes) const override
    {
        const auto raw = from_bytes<BootSlot>(bytes);
        return BootCall{
            {raw.rdi, raw.rsi, raw.rdx, raw.r10, raw.r8, raw.r9}, raw.ret, raw.nr, raw.owner};
    }

    [[nodiscard]] Result<void> reissue(const Tracee &tracee, const Notification &notification,
                                       int nr, bool answered) const override
    {
        auto regs = get_registers(tracee);
        if (!regs) {
            return regs.error();
        }
        const RemotePtr instruction{notification.instruction_pointer - sizeof syscall_instruction};
        std::array<std::uint8_t, 2> bytes{};
        if (!read_exactly(tracee.tid(), instruction, bytes_of(bytes)) ||
            bytes != syscall_instruction ||
            (answered ? regs->rip != notification.instruction_pointer
                      : !is_cut_short(*regs, notification))) {
            return elsewhere(tracee);
        }
        // The write of all registers at once is the commit point: before it, the answer stays in
        // force.
        regs->orig_rax = no_restart;
        regs->rax = static_cast<unsigned long long>(nr);
        regs->rip = instruction.value();
        return set_registers(tracee, *regs);
    }

    [[nodiscard]] Result<void> leave(const Tracee &tracee, const SlotCall &call,
                                     std::int64_t result) const override
    {
        auto regs = get_registers(tracee);
        if (!regs) {
            return regs.error();
        }
        regs->orig_rax = no_restart;
        regs->rax = static_cast<unsigned long long>(result);
        regs->rdi = call.saved_args[0];
        regs->rsi = call.saved_args[1];
        regs->rcx = call.return_address;
        regs->rip = call.return_address;
        return set_registers(tracee, *regs);
    }

    [[nodiscard]] Result<void> enter(const Tracee &tracee, const Notification &notification,
                                     bool answered, RemotePtr entry, RemotePtr slot) const override
    {
        if (answered) {
            // Any system call clobbers r11, so writing it commits to nothing. The program counter
            // is the only commit point.
            if (auto done = poke_register(tracee, offsetof(user_regs_struct, r11), slot.value());
                !done) {
                return done;
            }
            return poke_register(tracee, offsetof(user_regs_struct, rip), entry.value());
        }
        auto regs = get_registers(tracee);
        if (!regs) {
            return regs.error();
        }
        if (!is_cut_short(*regs, notification)) {
            return elsewhere(tracee);
        }
        regs->orig_rax = no_restart;
        regs->rax = static_cast<unsigned long long>(-ENOSYS);
        regs->r11 = slot.value();
        regs->rip = entry.value();
        return set_registers(tracee, *regs);
    }

    [[nodiscard]] Result<void> end_call(const Tracee &tracee, const Notification &notification,
                                        bool answered, std::int64_t result) const override
    {
        auto regs = get_registers(tracee);
        if (!regs) {
            return regs.error();
        }
        if (answered ? regs->rip != notification.instruction_pointer
                     : !is_cut_short(*regs, notification)) {
            return elsewhere(tracee);
        }
        regs->orig_rax = no_restart;
        regs->rax = static_cast<unsigned long long>(result);
        return set_registers(tracee, *regs);
    }
};

constexpr X86_64 x86_64;
constexpr std::array<const Architecture *, 1> all{&x86_64};

} // namespace

std::span<const Architecture *const> architectures()
{
    return all;
}

} // namespace clone2
