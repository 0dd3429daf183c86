// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clone2
{

/// The names of the flags set in the upper 56 bits (without the exit signal), such as "CLONE_VM";
/// bits without a name are given as one hexadecimal number.
[[nodiscard]] std::vector<std::string> flag_names(std::uint64_t flags);

/// The bit with this name; nullopt: none.
[[nodiscard]] std::optional<std::uint64_t> flag_by_name(std::string_view name);

/// "CLONE_VM|CLONE_VFORK|SIGCHLD", as strace writes it; "0" for nothing.
[[nodiscard]] std::string describe_flags(std::uint64_t flags);

/// Why clone3 refuses these flags together with EINVAL: "CLONE_SIGHAND needs CLONE_VM". Empty: no
/// reason is known.
[[nodiscard]] std::string conflict_of_flags(std::uint64_t flags);

/// "EBUSY"; "errno 4711" for an unknown value.
[[nodiscard]] std::string errno_name(int err);

/// "SIGCHLD", "SIGRT_3" or a number, as strace writes them.
[[nodiscard]] std::string signal_name(unsigned signal);

} // namespace clone2
