// SPDX-License-Identifier: MIT
#include "arch/x86/registers.hpp"

#include "base/remote_ptr.hpp"
#include "target/memory.hpp"

#include <sys/ptrace.h>

#include <cerrno>

namespace clone2::x86
{

namespace
{

/// The kernel's codes for "interrupted, may be restarted" (linux/errno.h, not for user space).
bool is_restart_code(int rax)
{
    constexpr int erestartsys = 512;
    constexpr int erestart_restartblock = 516;
    return -rax >= erestartsys && -rax <= erestart_restartblock;
}

} // namespace

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

Result<void> poke_register(const Tracee &tracee, std::size_t offset, std::uint64_t value)
{
    if (::ptrace(PTRACE_POKEUSER, tracee.tid(), reinterpret_cast<void *>(offset),
                 reinterpret_cast<void *>(value)) != 0) {
        return last_error("ptrace(PTRACE_POKEUSER)", tracee.tid());
    }
    return {};
}

bool is_there(const user_regs_struct &regs, const Notification &notification, bool answered)
{
    return regs.rip == notification.instruction_pointer &&
           (answered || (static_cast<int>(regs.orig_rax) == notification.nr &&
                         is_restart_code(static_cast<int>(regs.rax))));
}

Result<void> reissue(const Tracee &tracee, const Notification &notification, int nr, bool answered,
                     const CallInstruction &instruction)
{
    auto regs = get_registers(tracee);
    if (!regs) {
        return regs.error();
    }
    const RemotePtr at{notification.instruction_pointer - sizeof instruction};
    CallInstruction bytes{};
    if (!read_exactly(tracee.tid(), at, bytes_of(bytes)) || bytes != instruction ||
        !is_there(*regs, notification, answered)) {
        return Error(Cause::target_moved, tracee.tid());
    }
    // One write of all registers is the commit point: until then, the answer stays in force.
    regs->orig_rax = no_restart;
    regs->rax = static_cast<unsigned long long>(nr);
    regs->rip = at.value();
    return set_registers(tracee, *regs);
}

Result<void> end_call(const Tracee &tracee, const Notification &notification, bool answered,
                      std::int64_t result)
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

} // namespace clone2::x86
