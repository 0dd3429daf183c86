// SPDX-License-Identifier: MIT
#pragma once

#include "base/result.hpp"
#include "listener/notification.hpp"
#include "target/tracee.hpp"

#include <cstdint>
#include <sys/user.h>

/// The registers of a stopped tracee, as ptrace(2) shows them to a 64-bit tracer: the same for
/// x86-64 and i386 tracees. Thread-safe: no state.

namespace clone2::x86
{

[[nodiscard]] Result<user_regs_struct> get_registers(const Tracee &tracee);
[[nodiscard]] Result<void> set_registers(const Tracee &tracee, const user_regs_struct &regs);

/// Whether the tracee is still where its call was answered (`answered`), or where the stop itself
/// interrupted the notification (no WAIT_KILLABLE_RECV), with no other change since.
[[nodiscard]] bool is_there(const user_regs_struct &regs, const Notification &notification,
                            bool answered);
/// For orig_rax: no system call is left to restart.
constexpr unsigned long long no_restart = ~0ULL;

} // namespace clone2::x86
