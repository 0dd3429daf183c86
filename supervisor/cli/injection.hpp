// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace clone2::cli
{

/// Which calls fail without being made, and how (--inject).
struct Injection {
    int err = 0; ///< errno value, > 0
    std::uint64_t first = 1;
    std::uint64_t last = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t step = 1;

    /// Whether call number `count` (1, 2, ...) fails.
    [[nodiscard]] bool hits(std::uint64_t count) const
    {
        return count >= first && count <= last && (count - first) % step == 0;
    }
};

/// "ERRNO[:when=FIRST[..LAST][+[STEP]]]", as strace(1) has it; without "when" every call. ERRNO is
/// a name or a number. nullopt: it is none of that. Pure.
[[nodiscard]] std::optional<Injection> parse_injection(std::string_view text);

} // namespace clone2::cli
