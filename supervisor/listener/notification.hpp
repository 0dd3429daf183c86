// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <sys/types.h>

namespace clone2
{

/// A target's call that waits for our answer (seccomp_unotify(2), struct seccomp_notif).
struct Notification {
    std::uint64_t id = 0;                  ///< the kernel's id of this notification
    pid_t tid = 0;                         ///< the calling thread, in our pid namespace
    std::uint32_t arch = 0;                ///< AUDIT_ARCH_*
    int nr = 0;                            ///< system call number
    std::uint64_t instruction_pointer = 0; ///< after the system-call instruction
    /// A 64-bit program's i386 call, where the instruction pointer does not show that.
    bool of_wider_program = false;
    std::array<std::uint64_t, 6> args = {}; ///< argument registers in the ABI's order
    bool postponed = false; ///< it has been looked at before, and is looked at again
};

} // namespace clone2
