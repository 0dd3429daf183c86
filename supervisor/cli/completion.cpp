// SPDX-License-Identifier: MIT
//
// completion bash|zsh|fish: prints, at build time, what the shell needs to complete the options of
// clone2-supervise and then PROGRAM with its arguments. For bash, a template is read from stdin.
#include "cli/options.hpp"

#include <algorithm>
#include <iostream>
#include <string>
#include <string_view>

namespace
{

using namespace clone2::cli;

enum class Kind { nothing, choices, files, users, processes };

struct Value {
    Kind kind = Kind::nothing;
    std::string words; ///< of `choices`, with blanks between them
};

/// What an option's argument, as --help shows it, can be.
Value value_of(const Option &option)
{
    std::string argument = option.argument != nullptr ? option.argument : "";
    if (argument.starts_with("[=")) {
        argument = argument.substr(2, argument.size() - 3);
    }
    if (argument.starts_with("FILE") || argument.starts_with("PATH")) {
        return {Kind::files, ""};
    }
    if (argument.starts_with("UID")) {
        return {Kind::users, ""};
    }
    if (argument == "PID") {
        return {Kind::processes, ""};
    }
    // Words to choose from are in lower case, what stands for a value is not.
    if (argument.empty() || std::any_of(argument.begin(), argument.end(), isupper)) {
        return {};
    }
    std::replace(argument.begin(), argument.end(), '|', ' ');
    return {Kind::choices, argument};
}

std::string summary(const Option &option)
{
    const std::string_view text = option.text;
    return std::string(text.substr(0, text.find(". ")));
}

/// Each character of `special` with a backslash before it.
std::string escaped(const std::string &text, std::string_view special)
{
    std::string result;
    for (const char c : text) {
        if (special.find(c) != std::string_view::npos) {
            result += '\\';
        }
        result += c;
    }
    return result;
}

std::string in_shell_quotes(const std::string &text)
{
    std::string result = "'";
    for (const char c : text) {
        result += c == '\'' ? R"('\'')" : std::string(1, c);
    }
    return result + "'";
}

std::string values_in_bash(const Option &option)
{
    const auto [kind, words] = value_of(option);
    switch (kind) {
    case Kind::choices:
        return "-W '" + words + "'";
    case Kind::files:
        return "-f";
    case Kind::users:
        return "-u";
    case Kind::processes:
        return "-W '$(cd /proc && echo [0-9]*)'"; // compgen expands it
    default:
        return "-W ''";
    }
}

/// Fills in the template on stdin.
void bash(std::istream &page)
{
    std::string names;
    std::string with_value;
    std::string values;
    for (const Option &option : all_options()) {
        const std::string name = long_name(option);
        const std::string both =
            (option.short_name != 0 ? std::string("-") + option.short_name + "|" : "") + name;
        names += (names.empty() ? "" : " ") + name;
        if (option.argument == nullptr) {
            continue;
        }
        if (!value_optional(option)) {
            with_value += (with_value.empty() ? "" : "|") + both;
        }
        values += "        " + both + ") values " + values_in_bash(option) + " ;;\n";
    }
    for (std::string line; std::getline(page, line);) {
        std::cout << (line == "@NAMES@"        ? "    local names='" + names + "'\n"
                      : line == "@WITH_VALUE@" ? "        " + with_value + ")\n"
                      : line == "@VALUES@"     ? values
                                               : line + "\n");
    }
}

void zsh()
{
    std::cout << "#compdef clone2-supervise\n_arguments -S -A '-*' \\\n";
    for (const Option &option : all_options()) {
        const std::string name = long_name(option);
        std::string spec = "[" + escaped(summary(option), "[]:\\") + "]";
        const bool optional = value_optional(option);
        if (option.argument != nullptr) {
            const auto [kind, words] = value_of(option);
            spec += (optional ? "::value:" : ":value:") +
                    (kind == Kind::choices     ? "(" + words + ")"
                     : kind == Kind::files     ? std::string("_files")
                     : kind == Kind::users     ? std::string("_users")
                     : kind == Kind::processes ? std::string("_pids")
                                               : std::string(" "));
        }
        const std::string long_spec = std::string(name).append(option.argument == nullptr ? ""
                                                               : optional                 ? "=-"
                                                                          : "=") += spec;
        if (option.short_name == 0) {
            std::cout << "  " << in_shell_quotes(long_spec) << " \\\n";
            continue;
        }
        const std::string letter{'-', option.short_name};
        std::string excluded = "(";
        excluded.append(letter).append(" ").append(name).append(")");
        std::string short_spec = excluded;
        short_spec.append(letter).append(option.argument != nullptr ? "+" : "").append(spec);
        std::cout << "  " << in_shell_quotes(short_spec) << " \\\n  "
                  << in_shell_quotes(excluded.append(long_spec)) << " \\\n";
    }
    std::cout << "  '(-):program: _command_names -e' \\\n  '*::argument: _normal'\n";
}

void fish()
{
    std::cout << "# fish completion for clone2-supervise\n"
                 "complete -c clone2-supervise -x -a '(__fish_complete_subcommand)'\n";
    for (const Option &option : all_options()) {
        std::cout << "complete -c clone2-supervise";
        if (option.short_name != 0) {
            std::cout << " -s " << option.short_name;
        }
        std::cout << " -l " << option.long_name;
        const auto [kind, words] = value_of(option);
        if (kind == Kind::files) {
            std::cout << " -r -F";
        } else if (option.argument != nullptr && !value_optional(option)) {
            std::cout << " -x";
        }
        if (kind == Kind::choices) {
            std::cout << " -a " << in_shell_quotes(words);
        } else if (kind == Kind::users) {
            std::cout << " -a '(__fish_complete_users)'";
        } else if (kind == Kind::processes) {
            std::cout << " -a '(__fish_complete_pids)'";
        }
        std::cout << " -d '" << escaped(summary(option), "'\\") << "'\n";
    }
}

} // namespace

int main(int argc, char **argv)
{
    const std::string_view shell = argc == 2 ? argv[1] : "";
    if (shell == "bash") {
        bash(std::cin);
    } else if (shell == "zsh") {
        zsh();
    } else if (shell == "fish") {
        fish();
    } else {
        return 2;
    }
    return std::cout.flush() ? 0 : 1;
}
