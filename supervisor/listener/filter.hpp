// SPDX-License-Identifier: MIT
#pragma once

#include "base/result.hpp"

#include <linux/filter.h>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace clone2
{

/// The seccomp filter: USER_NOTIF for one number of the native architecture, ALLOW for all else
/// and for every other architecture (libseccomp's default there is KILL). Kept to equality tests
/// so that the kernel's constant-action bitmap (5.11) answers for all other calls.
///
/// `nr`: the system call number, 0..0x3fffffff. Thread-safe.
[[nodiscard]] Result<std::vector<sock_filter>> build_filter(int nr);

/// The name of the system call that has the number on this architecture, if libseccomp knows
/// one: such a number can't be clone2's.
[[nodiscard]] std::optional<std::string> name_of_system_call(int nr);

/// What install_filter() gives: `listener` >= 0, or -errno; whether the kernel keeps a received
/// notification through non-fatal signals (WAIT_KILLABLE_RECV, 5.19).
struct InstalledFilter {
    int listener = -1;
    bool wait_killable = false;
    bool no_new_privs = false; ///< had to be set: the caller lacks CAP_SYS_ADMIN
};

/// Installs the filter on the calling thread, for it and all it becomes. Async-signal-safe.
/// No-new-privs is set only where the kernel asks for it. Errors, as -errno in `listener`:
/// EBUSY: the filter chain has a listener already; EINVAL: no user notification (before 5.0).
/// `prefer_wait_killable` false leaves WAIT_KILLABLE_RECV out, as on kernels before 5.19;
/// `may_set_no_new_privs` false: EACCES where that would be needed.
[[nodiscard]] InstalledFilter install_filter(std::span<const sock_filter> program,
                                             bool prefer_wait_killable = true,
                                             bool may_set_no_new_privs = true) noexcept;

} // namespace clone2
