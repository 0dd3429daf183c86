// SPDX-License-Identifier: MIT
#include "base/printable.hpp"

namespace clone2
{

namespace
{

constexpr std::string_view digits = "0123456789abcdef";

} // namespace

std::string printable(std::string_view bytes, std::string_view quoted)
{
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

std::string shortened(std::string_view text, std::size_t most)
{
    return std::string(text.substr(0, most)) + (text.size() > most ? "..." : "");
}

std::string hex(std::uint64_t value)
{
    std::string text;
    do {
        text.insert(text.begin(), digits[value % 16]);
        value /= 16;
    } while (value != 0);
    return "0x" + text;
}

} // namespace clone2
