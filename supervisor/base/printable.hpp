// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace clone2
{

/// The bytes as they may stand in one line of a terminal or a log: printable ASCII as it is, all
/// else (control characters of both sets, other languages' letters, bytes that are no UTF-8), and
/// the characters of `quoted`, as \\xNN. Diagnostics and format_text() do this to every line; a
/// name inside of one is escaped with its quotes before that, so that it can't pretend to have
/// ended. Thread-safe.
[[nodiscard]] std::string printable(std::string_view bytes, std::string_view quoted = "\\");

} // namespace clone2
