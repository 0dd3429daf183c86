// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>

namespace clone2
{

/// The uid of the user with this name, as getpwnam(3) finds it. nullopt: there is none.
/// Thread-safe.
[[nodiscard]] std::optional<uid_t> uid_of_user(const std::string &name);

/// The name of the user with this uid, as getpwuid(3) finds it. nullopt: it has none. Thread-safe.
[[nodiscard]] std::optional<std::string> name_of_user(uid_t uid);

} // namespace clone2
