// SPDX-License-Identifier: MIT
#pragma once

#include "abi/call_table.hpp"
#include "listener/notification.hpp"

#include <vector>

namespace clone2
{

/// The call of each architecture by which libclone2 announces that it serves a program's calls
/// itself. For build_filter(), beside mistaken calls: a prctl() with that argument alone is given
/// to us. Its abi is nullptr, and no other call's is. Thread-safe.
[[nodiscard]] std::vector<TrappedCall> announcements();

/// Whether this call is one of them, whatever filter has sent it. Thread-safe.
[[nodiscard]] bool is_announcement(const Notification &notification);

} // namespace clone2
