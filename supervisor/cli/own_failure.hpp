// SPDX-License-Identifier: MIT
#pragma once

#include "base/result.hpp"

#include <cerrno>
#include <exception>
#include <string>

namespace clone2::cli
{

/// What an errno means and, if it is that of a limit, the limit: "Too many open files (ulimit -n is
/// 8)".
[[nodiscard]] std::string reason(int err = errno);
/// As reason(), why there is no new namespace.
[[nodiscard]] std::string no_namespace(int err);
/// The operation that failed, and the reason.
[[nodiscard]] std::string reason_of(const Error &error);
/// An exception's text, and the limit in the same way.
[[nodiscard]] std::string reason_of(const std::exception &error);

/// A message and the exit status of our own failures.
constexpr int own_failure = 125;
[[noreturn]] void fail(const std::string &message);

} // namespace clone2::cli
