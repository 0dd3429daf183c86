// SPDX-License-Identifier: MIT
#include "arch/x86/registers.hpp"

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

bool is_there(const user_regs_struct &regs, const Notification &notification, bool answered)
{
    return regs.rip == notification.instruction_pointer &&
           (answered || (static_cast<int>(regs.orig_rax) == notification.nr &&
                         is_restart_code(static_cast<int>(regs.rax))));
}

} // namespace clone2::x86
