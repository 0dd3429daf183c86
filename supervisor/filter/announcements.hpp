// SPDX-License-Identifier: MIT
#pragma once

#include "abi/call_table.hpp"

#include <vector>

namespace clone2
{

/// The call of each architecture by which libclone2 announces that it serves a program's calls
/// itself. For build_filter(), beside mistaken calls: a prctl() with that argument alone is given
/// to us. Its abi is nullptr, and no other call's is. Thread-safe.
[[nodiscard]] std::vector<TrappedCall> announcements();

} // namespace clone2
