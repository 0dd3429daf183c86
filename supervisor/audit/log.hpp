// SPDX-License-Identifier: MIT
#pragma once

#include "audit/record.hpp"

#include <string>

namespace clone2
{

enum class LogFormat { text, json };

/// Formats one line of the log, with its newline. Pure.
[[nodiscard]] std::string format_text(const CallRecord &record);
[[nodiscard]] std::string format_json(const CallRecord &record);

/// Formats the line that replaces `dropped` lines, lost because nothing read the log.
[[nodiscard]] std::string format_dropped(std::uint64_t dropped, LogFormat format);

} // namespace clone2
