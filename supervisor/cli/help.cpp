// SPDX-License-Identifier: MIT
#include "cli/options.hpp"

#include <algorithm>

namespace clone2::cli
{

namespace
{

/// Breaks a text at blanks.
std::vector<std::string> wrap(std::string_view text, std::size_t width)
{
    std::vector<std::string> lines;
    while (text.size() > width) {
        const std::size_t blank = text.rfind(' ', width);
        lines.emplace_back(text.substr(0, blank));
        text.remove_prefix(blank + 1);
    }
    lines.emplace_back(text);
    return lines;
}

std::string_view first_sentence(std::string_view text)
{
    return text.substr(0, text.find(". "));
}

} // namespace

std::string spelled(const Option &option)
{
    std::string text = option.short_name != 0 ? std::string("-") + option.short_name + ", " : "";
    text += long_name(option);
    if (option.argument != nullptr) {
        text += (value_optional(option) ? "" : " ") + std::string(option.argument);
    }
    return text;
}

std::vector<std::string> usage()
{
    std::vector<std::string> lines{"[OPTION...] [--] PROGRAM [ARG...]"};
    const auto options = all_options();
    for (const Option &option : options) {
        if (option.selects != running) {
            const bool alone = std::none_of(options.begin(), options.end(), [&](const auto &other) {
                return other.selects == running && other.modes != any_mode &&
                       (other.modes & option.selects) != 0;
            });
            lines.push_back(spelled(option) + (alone ? "" : " [OPTION...]"));
        }
    }
    return lines;
}

std::string help_text()
{
    constexpr std::size_t column = 28;
    constexpr std::size_t width = 50;
    std::string help;
    for (const std::string &line : usage()) {
        help +=
            (help.empty() ? "Usage: clone2-supervise " : "       clone2-supervise ") + line + "\n";
    }
    help += "\nRun PROGRAM with the clone2 system call: clone() with chosen pids.\n\n";
    for (const Option &option : all_options()) {
        std::string left = (option.short_name != 0 ? "  " : "      ") + spelled(option);
        for (const std::string &line : wrap(first_sentence(option.text), width)) {
            if (left.size() >= column) {
                help += left + "\n";
                left.clear();
            }
            left.resize(column, ' ');
            help += left + line + "\n";
            left.clear();
        }
    }
    help += "\nExit status:\n";
    for (const ExitText &exit : exit_texts()) {
        std::string left = std::string("  ") + exit.status;
        left.resize(8, ' ');
        help += left + exit.text + "\n";
    }
    return help + "\nThe manual page clone2-supervise(1) has the details.\n";
}

} // namespace clone2::cli
