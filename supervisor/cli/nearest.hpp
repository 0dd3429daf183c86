// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace clone2::cli
{

/// The one of `known` that was probably meant by a mistyped word: it begins with the word, or
/// differs from it in few letters. nullopt: none is near. Pure.
[[nodiscard]] std::optional<std::string> nearest(std::string_view word,
                                                 std::span<const std::string> known);

} // namespace clone2::cli
