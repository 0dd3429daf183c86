// SPDX-License-Identifier: MIT
#pragma once

#include "abi/call_table.hpp"

#include <linux/filter.h>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace clone2
{

/// Builds the seccomp filter: USER_NOTIF for the calls in the table, ALLOW for everything else and
/// for all other architectures. It looks at arguments only after the number, and at that by
/// equality tests only, so that the kernel's constant-action bitmap (5.11) handles all other calls.
/// Each call must have a number. `mistaken`: further calls that are given to us. Thread-safe.
[[nodiscard]] std::vector<sock_filter> build_filter(const CallTable &table,
                                                    std::span<const TrappedCall> mistaken = {});

/// Calls that fail because nobody serves them where the table's calls are served: its own numbers,
/// made by programs of another architecture or ABI, and known numbers of the call that it lacks.
/// None of them can be another system call. Thread-safe.
[[nodiscard]] std::vector<TrappedCall> mistaken_calls(const CallTable &table);

/// Says "39 is the system call getpid" if libseccomp knows a system call with a number of the
/// table. Such a number can't be clone2's. nullopt: there is none. Thread-safe.
[[nodiscard]] std::optional<std::string> number_in_use(const CallTable &table);
/// For a user: calls in the table that can't be told from another system call.
[[nodiscard]] std::vector<std::string> warnings_of(const CallTable &table);

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
