// SPDX-License-Identifier: MIT
#include "tree.hpp"

#include <cstdint>

namespace pstree
{

namespace
{

/// Length of the valid UTF-8 sequence at `at`, or 0.
std::size_t utf8_length(const std::string &text, std::size_t at)
{
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t first = byte(at);
    std::size_t length = 0;
    std::uint32_t code = 0;
    std::uint32_t lowest = 0;
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf) {
        length = 2;
        code = first & 0x1fU;
        lowest = 0x80;
    } else if (first >= 0xe0 && first <= 0xef) {
        length = 3;
        code = first & 0x0fU;
        lowest = 0x800;
    } else if (first >= 0xf0 && first <= 0xf4) {
        length = 4;
        code = first & 0x07U;
        lowest = 0x10000;
    } else {
        return 0;
    }
    if (at + length > text.size())
        return 0;
    for (std::size_t i = 1; i < length; i++) {
        if ((byte(at + i) & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (byte(at + i) & 0x3fU);
    }
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    // Would move a terminal's cursor, end the line, or turn the text's direction.
    const bool control = (code >= 0x80 && code < 0xa0) || code == 0x200e || code == 0x200f ||
                         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    return code < lowest || code > 0x10ffff || surrogate || control ? 0 : length;
}

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

std::string escape(const std::string &raw, bool backslash_too)
{
    std::string text;
    for (std::size_t i = 0; i < raw.size();) {
        const auto byte = static_cast<unsigned char>(raw[i]);
        const std::size_t length = utf8_length(raw, i);
        if (byte == '\\' && backslash_too) {
            text += "\\\\";
            i++;
        } else if (length == 0 || byte < 0x20 || byte == 0x7f) {
            constexpr const char *digits = "0123456789abcdef";
            text += "\\x";
            text += digits[byte >> 4];
            text += digits[byte & 15];
            i++;
        } else {
            text.append(raw, i, length);
            i += length;
        }
    }
    return text;
}

} // namespace

std::string escape_name(const std::string &raw)
{
    return escape(raw, true);
}

std::string printable(const std::string &message)
{
    return escape(message, false);
}

std::optional<std::string> unescape_name(const std::string &text)
{
    std::string raw;
    for (std::size_t i = 0; i < text.size(); i++) {
        if (text[i] != '\\') {
            raw += text[i];
            continue;
        }
        if (i + 1 < text.size() && text[i + 1] == '\\') {
            raw += '\\';
            i++;
            continue;
        }
        if (i + 3 >= text.size() || text[i + 1] != 'x')
            return std::nullopt;
        const int high = hex_digit(text[i + 2]);
        const int low = hex_digit(text[i + 3]);
        if (high < 0 || low < 0)
            return std::nullopt;
        raw += static_cast<char>(high * 16 + low);
        i += 3;
    }
    return raw;
}

std::string to_text(const Pids &pids)
{
    std::string text = "{";
    for (std::size_t i = 0; i < pids.size(); i++)
        text += (i == 0 ? "" : " ") + std::to_string(pids[i]);
    return text + "}";
}

} // namespace pstree
