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

/// Builds the seccomp filter: USER_NOTIF for one number of the native architecture, ALLOW for
/// everything else and for all other architectures (libseccomp's default there is KILL). It uses
/// equality tests only, so that the kernel's constant-action bitmap (5.11) handles all other calls.
///
/// `nr`: the system call number, 0..0x3fffffff. Thread-safe.
[[nodiscard]] Result<std::vector<sock_filter>> build_filter(int nr);

/// The name of the system call with this number on this architecture, if libseccomp knows one. Such
/// a number can't be clone2's.
[[nodiscard]] std::optional<std::string> name_of_system_call(int nr);

/// `wait_killable`: the kernel keeps a received notification through non-fatal signals
/// (WAIT_KILLABLE_RECV, 5.19).
struct InstalledFilter {
    int listener = -1;
    bool wait_killable = false;
    bool no_new_privs = false; ///< it had to be set: the caller lacks CAP_SYS_ADMIN
};

/// Installs the filter on the calling thread; its descendants inherit it. Sets no-new-privs only if
/// the kernel requires it. Async-signal-safe.
///
/// Causes: second_listener (EBUSY), no_notifications (EINVAL). `prefer_wait_killable` false leaves
/// WAIT_KILLABLE_RECV out, as on kernels before 5.19. `may_set_no_new_privs` false fails with
/// EACCES if no-new-privs would be needed.
[[nodiscard]] Result<InstalledFilter> install_filter(std::span<const sock_filter> program,
                                                     bool prefer_wait_killable = true,
                                                     bool may_set_no_new_privs = true) noexcept;

} // namespace clone2
