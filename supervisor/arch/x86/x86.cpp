// SPDX-License-Identifier: MIT
#include "arch/x86/x86.hpp"

#include "arch/x86/registers.hpp"
#include "target/memory.hpp"

#include <cstring>

namespace clone2::x86
{

std::vector<std::byte> X86::make_code(const Signature &signature) const
{
    std::vector<std::byte> code(labels_.begin, labels_.end);
    std::memcpy(code.data(), signature.data(), sizeof signature);
    for (const std::byte *const mark : {labels_.report_mark, labels_.boot_report_mark}) {
        std::memcpy(code.data() + offset_of(mark) + sizeof CodeMark::mark, signature.data(),
                    sizeof CodeMark::signature);
    }
    return code;
}

RemotePtr X86::code_of_boot_report(std::uint64_t instruction_pointer) const
{
    return RemotePtr{instruction_pointer + mark_offset() - offset_of(labels_.boot_report_mark)};
}

Result<void> X86::reissue(const Tracee &tracee, const Notification &notification, int nr,
                          bool answered) const
{
    auto regs = get_registers(tracee);
    if (!regs) {
        return regs.error();
    }
    const RemotePtr at{notification.instruction_pointer - sizeof instruction_};
    CallInstruction bytes{};
    if (!read_exactly(tracee.tid(), at, bytes_of(bytes)) || bytes != instruction_ ||
        !is_there(*regs, notification, answered)) {
        return Error(Cause::target_moved, tracee.tid());
    }
    // One write of all registers is the commit point: until then, the answer stays in force.
    regs->orig_rax = no_restart;
    regs->rax = static_cast<unsigned long long>(nr);
    regs->rip = at.value();
    return set_registers(tracee, *regs);
}

Result<void> X86::end_call(const Tracee &tracee, const Notification &notification, bool answered,
                           std::int64_t result) const
{
    auto regs = get_registers(tracee);
    if (!regs) {
        return regs.error();
    }
    if (!is_there(*regs, notification, answered)) {
        return Error(Cause::target_moved, tracee.tid());
    }
    regs->orig_rax = no_restart;
    regs->rax = static_cast<unsigned long long>(result);
    return set_registers(tracee, *regs);
}

Result<void> X86::enter_by_rax(const Tracee &tracee, const Notification &notification,
                               bool answered, RemotePtr entry, RemotePtr slot,
                               unsigned long long cs)
{
    auto regs = get_registers(tracee);
    if (!regs) {
        return regs.error();
    }
    if (!is_there(*regs, notification, answered)) {
        return Error(Cause::target_moved, tracee.tid());
    }
    if (regs->cs != cs) {
        return Error(Cause::other_code_segment, tracee.tid());
    }
    // One write of all registers is the commit point: until then rax holds the answer.
    regs->orig_rax = no_restart;
    regs->rax = slot.value();
    regs->rip = entry.value();
    return set_registers(tracee, *regs);
}

} // namespace clone2::x86
