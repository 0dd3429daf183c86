// SPDX-License-Identifier: MIT
#pragma once

#include "audit/log.hpp"

#include <optional>
#include <string>
#include <sys/types.h>

namespace clone2
{

/// A process whose calls the log does not show, because libclone2 serves them inside it.
struct SelfServed {
    pid_t tid = 0;            ///< in the supervisor's pid namespace
    std::string comm;         ///< raw bytes
    std::optional<uid_t> uid; ///< as in CallRecord
    std::string peer;         ///< likewise
};

/// Formats its line of the log, with a newline.
[[nodiscard]] std::string format_self_served(const SelfServed &process, LogFormat format);

} // namespace clone2
