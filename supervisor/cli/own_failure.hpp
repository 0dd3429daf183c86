// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace clone2::cli
{

/// A message and the exit status of our own failures.
constexpr int own_failure = 125;
[[noreturn]] void fail(const std::string &message);

} // namespace clone2::cli
