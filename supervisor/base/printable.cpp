// SPDX-License-Identifier: MIT
#include "base/printable.hpp"

namespace clone2
{

std::string printable(std::string_view bytes, std::string_view quoted)
{
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte >= 0x7f || quoted.find(c) != std::string_view::npos) {
            text += "\\x";
            text += digits[byte / 16];
            text += digits[byte % 16];
        } else {
            text += c;
        }
    }
    return text;
}

} // namespace clone2
