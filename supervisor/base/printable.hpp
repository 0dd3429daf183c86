// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace clone2
{

/// Escapes bytes for one line of a terminal or log. Printable ASCII stays; everything else (control
/// characters of both sets, non-ASCII letters, invalid UTF-8) and the characters in `quoted` become
/// \\xNN. Diagnostics and format_text() escape every line this way. A name inside a line is escaped
/// together with its quotes first, so it can't fake its own end. Thread-safe.
[[nodiscard]] std::string printable(std::string_view bytes, std::string_view quoted = "\\");

/// The text; of one that is longer than this the beginning, and "...". Thread-safe.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t most);

/// "0x7ffe4a30". Thread-safe.
[[nodiscard]] std::string hex(std::uint64_t value);

} // namespace clone2
