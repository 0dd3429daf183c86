// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace clone2
{

/// The bytes as they may stand in one line of a terminal or a log: printable ASCII as it is, all
/// else, and the characters of `quoted`, as \\xNN. Thread-safe.
[[nodiscard]] std::string printable(std::string_view bytes, std::string_view quoted = "\\");

} // namespace clone2
