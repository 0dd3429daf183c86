// SPDX-License-Identifier: MIT
#include "tree.hpp"

#include <charconv>

namespace pstree
{

std::string printable(const std::string &message)
{
    std::string text;
    for (const char c : message) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f) {
            text += c;
        } else {
            constexpr const char *digits = "0123456789abcdef";
            text += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
        }
    }
    return text;
}

std::string escape_name(const std::string &raw)
{
    std::string text;
    for (const char c : raw) {
        text += c == '\\' ? "\\\\" : printable({c});
    }
    return text;
}

std::string unescape_name(const std::string &text)
{
    std::string raw;
    for (std::size_t i = 0; i < text.size(); i++) {
        if (text[i] != '\\') {
            raw += text[i];
        } else if (text.compare(i, 2, "\\\\") == 0) {
            raw += '\\';
            i++;
        } else {
            unsigned byte = 0;
            const std::string digits = text.substr(i + 1, 3); // "xNN"
            const char *end = digits.data() + digits.size();
            if (digits.size() != 3 || digits[0] != 'x' ||
                std::from_chars(&digits[1], end, byte, 16).ptr != end) {
                throw Failure("a backslash must be followed by a backslash or by xNN");
            }
            raw += static_cast<char>(byte);
            i += 3;
        }
    }
    return raw;
}

std::string to_text(const Pids &pids)
{
    std::string text;
    for (const int pid : pids) {
        text += (text.empty() ? "{" : " ") + std::to_string(pid);
    }
    return text + "}";
}

std::string who(const Process &process)
{
    return "process " + to_text(process.pids) + " (" + escape_name(process.name) + ")";
}

} // namespace pstree
