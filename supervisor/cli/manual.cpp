// SPDX-License-Identifier: MIT
//
// manual TEMPLATE: prints the manual page at build time. In place of the lines @SYNOPSIS@,
// @OPTIONS@ and @EXIT_STATUS@ of the template comes what --help says, in mdoc(7).
#include "cli/options.hpp"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

namespace
{

using namespace clone2::cli;

/// A text as lines of mdoc, a new one for each sentence. Hyphens can be copied.
std::string text_lines(const std::string &text)
{
    constexpr std::size_t width = 76;
    std::string lines;
    std::string line;
    bool sentence_ended = false;
    std::istringstream words(text);
    for (std::string word; words >> word;) {
        std::string escaped;
        for (const char c : word) {
            escaped += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
        }
        // Without "\\&" mandoc's lint takes a function's name for one that lacks its macro.
        if (const std::size_t name_end = escaped.find("()"); name_end != std::string::npos) {
            escaped.insert(name_end, "\\&");
        }
        if (sentence_ended || (!line.empty() && line.size() + 1 + escaped.size() > width)) {
            lines += line + "\n";
            line.clear();
        }
        if (line.empty() && (escaped[0] == '.' || escaped[0] == '\'')) {
            line = "\\&"; // no request
        }
        line += (line.empty() || line == "\\&" ? "" : " ") + escaped;
        sentence_ended = word.back() == '.' || word.ends_with(".)");
    }
    return lines + line + "\n";
}

/// One word of the synopsis, as arguments of a macro: "[--]" or "--pidns[=DEPTH]".
std::string macros(const std::string &word)
{
    if (const std::size_t value = word.find("[="); value != std::string::npos && value > 0) {
        const std::string name = word.substr(value + 2, word.size() - value - 3);
        const bool placeholder = std::none_of(name.begin(), name.end(), islower);
        return macros(word.substr(0, value)) + " Ns Op = Ns " + (placeholder ? "Ar " : "Cm ") +
               name;
    }
    if (word.starts_with("[")) {
        return "Op " + macros(word.substr(1, word.size() - 2));
    }
    if (word == "--") {
        return "Fl -";
    }
    if (word.starts_with("-")) {
        return "Fl " + word.substr(1);
    }
    const std::size_t dots = word.find("...");
    return "Ar " + word.substr(0, dots) + (dots == std::string::npos ? "" : " ...");
}

std::string synopsis()
{
    std::string page;
    for (const std::string &line : usage()) {
        page += ".Nm\n";
        std::istringstream words(line);
        for (std::string word; words >> word;) {
            page += "." + macros(word) + "\n";
        }
    }
    return page;
}

std::string options()
{
    std::string page = ".Bl -tag -width Ds\n";
    for (const Option &option : all_options()) {
        page += ".It ";
        if (option.short_name != 0) {
            page += std::string("Fl ") + option.short_name + " , ";
        }
        page += macros(long_name(option) + (value_optional(option) ? option.argument : ""));
        if (option.argument != nullptr && !value_optional(option)) {
            page += " Ar " + std::string(option.argument);
        }
        page += "\n" + text_lines(option.text + std::string("."));
    }
    return page + ".El\n";
}

std::string exit_status()
{
    std::string page = ".Bl -tag -width Ds\n";
    for (const ExitText &exit : exit_texts()) {
        page += std::string(".It ") + exit.status + "\n" + text_lines(exit.text + std::string("."));
    }
    return page + ".El\n";
}

} // namespace

int main(int argc, char **argv)
{
    std::ifstream page(argc == 2 ? argv[1] : "");
    if (!page) {
        return 2;
    }
    for (std::string line; std::getline(page, line);) {
        std::cout << (line == "@SYNOPSIS@"      ? synopsis()
                      : line == "@OPTIONS@"     ? options()
                      : line == "@EXIT_STATUS@" ? exit_status()
                                                : line + "\n");
    }
    return std::cout.flush() ? 0 : 1;
}
