// SPDX-License-Identifier: MIT
#pragma once

#include "audit/record.hpp"
#include "base/fd.hpp"

#include <string>

namespace clone2
{

enum class LogFormat { text, json };

/// One line for the log, with its line feed. Pure.
[[nodiscard]] std::string format_text(const CallRecord &record);
[[nodiscard]] std::string format_json(const CallRecord &record);

/// Appends lines to a file, each by one write(2), so that several supervisors can share it.
/// Thread-safe. A line that can't be written whole is lost; the first loss is told on stderr.
class CallLog
{
public:
    CallLog(Fd file, LogFormat format) : file_(std::move(file)), format_(format) {}

    /// False: this line was lost.
    bool write(const CallRecord &record) const;

private:
    Fd file_;
    LogFormat format_;
};

} // namespace clone2
