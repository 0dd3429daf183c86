// SPDX-License-Identifier: MIT
#pragma once

#include "audit/record.hpp"

#include <string>

namespace clone2
{

enum class LogFormat { text, json };

/// One line for the log, with its line feed. Pure.
[[nodiscard]] std::string format_text(const CallRecord &record);
[[nodiscard]] std::string format_json(const CallRecord &record);

/// In place of so many lines, which were dropped because nobody read the log.
[[nodiscard]] std::string format_dropped(std::uint64_t dropped, LogFormat format);

} // namespace clone2
