// SPDX-License-Identifier: MIT
//
// completion bash|zsh|fish COMMAND TEMPLATE [HELP]: prints, at build time, what the shell needs to
// complete the options of COMMAND and then PROGRAM with its arguments. TEMPLATE is the frame for
// bash. HELP is the output of COMMAND --help; without it COMMAND is clone2-supervise.
#include "cli/options.hpp"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace
{

using namespace clone2::cli;

enum class Kind { nothing, choices, files, users, processes };

struct Value {
    Kind kind = Kind::nothing;
    std::string words; ///< of `choices`, with blanks between them
};

/// What an option's argument, as --help shows it, can be.
Value value_of(std::string argument)
{
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

struct Entry {
    char letter = 0;  ///< 0: none
    std::string name; ///< "--nr"
    bool takes_value = false;
    bool value_optional = false; ///< given with "="
    Value value;
    std::string summary;
};

std::vector<Entry> of_supervise()
{
    std::vector<Entry> entries;
    for (const Option &option : all_options()) {
        const std::string_view text = option.text;
        entries.push_back({option.short_name, long_name(option), option.argument != nullptr,
                           value_optional(option),
                           value_of(option.argument != nullptr ? option.argument : ""),
                           std::string(text.substr(0, text.find(". ")))});
    }
    return entries;
}

/// From lines such as "  -n, --nr N  the number", which may go on in lines indented further.
std::vector<Entry> of_help(std::istream &help)
{
    static const std::regex option(
        R"(  (?:-(\w), )?(--[a-z-]+)(\[=\S+\])?(?: (\S+))?(?:  +(.*))?)");
    static const std::regex more(R"( {10,}(.*))");
    std::vector<Entry> entries;
    std::smatch found;
    for (std::string line; std::getline(help, line);) {
        if (std::regex_match(line, found, option)) {
            const bool optional = found[3].matched;
            entries.push_back({found[1].matched ? *found[1].first : '\0', found[2],
                               optional || found[4].matched, optional,
                               value_of(optional ? found[3] : found[4]), found[5]});
        } else if (std::regex_match(line, found, more) && !entries.empty()) {
            std::string &summary = entries.back().summary;
            summary += (summary.empty() ? "" : " ") + found[1].str();
        }
    }
    for (Entry &entry : entries) {
        for (const char *end : {". ", "; ", " ("}) {
            entry.summary = entry.summary.substr(0, entry.summary.find(end));
        }
    }
    return entries;
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

std::string values_in_bash(const Value &value)
{
    switch (value.kind) {
    case Kind::choices:
        return "-W '" + value.words + "'";
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

void bash(const std::string &command, const std::vector<Entry> &entries, std::istream &frame)
{
    std::string function = "_" + command;
    std::replace(function.begin(), function.end(), '-', '_');
    std::string complete = "complete -o filenames -F " + function;
    complete.append(" ").append(command).append("\n");
    std::string names;
    std::string with_value;
    std::string values;
    for (const Entry &entry : entries) {
        const std::string both =
            (entry.letter != 0 ? std::string("-") + entry.letter + "|" : "") + entry.name;
        names += names.empty() ? "" : " ";
        names += (entry.letter != 0 ? std::string("-") + entry.letter + " " : "") + entry.name;
        if (!entry.takes_value) {
            continue;
        }
        if (!entry.value_optional) {
            with_value += (with_value.empty() ? "" : "|") + both;
        }
        values += "        " + both + ") values " + values_in_bash(entry.value) + " ;;\n";
    }
    for (std::string line; std::getline(frame, line);) {
        std::cout << (line == "@NAMES@"        ? "    local names='" + names + "'\n"
                      : line == "@WITH_VALUE@" ? "        " + with_value + ")\n"
                      : line == "@VALUES@"     ? values
                      : line == "@FUNCTION@"   ? function + "()\n"
                      : line == "@COMPLETE@"   ? complete
                                               : line + "\n");
    }
}

void zsh(const std::string &command, const std::vector<Entry> &entries)
{
    std::cout << "#compdef " << command << "\n_arguments -S -A '-*' \\\n";
    for (const Entry &entry : entries) {
        std::string spec = "[" + escaped(entry.summary, "[]:\\") + "]";
        if (entry.takes_value) {
            const auto &[kind, words] = entry.value;
            spec += (entry.value_optional ? "::value:" : ":value:") +
                    (kind == Kind::choices     ? "(" + words + ")"
                     : kind == Kind::files     ? std::string("_files")
                     : kind == Kind::users     ? std::string("_users")
                     : kind == Kind::processes ? std::string("_pids")
                                               : std::string(" "));
        }
        const std::string long_spec = std::string(entry.name)
                                          .append(!entry.takes_value     ? ""
                                                  : entry.value_optional ? "=-"
                                                                         : "=") += spec;
        if (entry.letter == 0) {
            std::cout << "  " << in_shell_quotes(long_spec) << " \\\n";
            continue;
        }
        const std::string letter{'-', entry.letter};
        std::string excluded = "(";
        excluded.append(letter).append(" ").append(entry.name).append(")");
        std::string short_spec = excluded;
        short_spec.append(letter).append(entry.takes_value ? "+" : "").append(spec);
        std::cout << "  " << in_shell_quotes(short_spec) << " \\\n  "
                  << in_shell_quotes(excluded.append(long_spec)) << " \\\n";
    }
    std::cout << "  '(-):program: _command_names -e' \\\n  '*::argument: _normal'\n";
}

void fish(const std::string &command, const std::vector<Entry> &entries)
{
    std::cout << "# fish completion for " << command << "\ncomplete -c " << command
              << " -x -a '(__fish_complete_subcommand)'\n";
    for (const Entry &entry : entries) {
        std::cout << "complete -c " << command;
        if (entry.letter != 0) {
            std::cout << " -s " << entry.letter;
        }
        std::cout << " -l " << entry.name.substr(2);
        const auto &[kind, words] = entry.value;
        if (kind == Kind::files) {
            std::cout << " -r -F";
        } else if (entry.takes_value && !entry.value_optional) {
            std::cout << " -x";
        }
        if (kind == Kind::choices) {
            std::cout << " -a " << in_shell_quotes(words);
        } else if (kind == Kind::users) {
            std::cout << " -a '(__fish_complete_users)'";
        } else if (kind == Kind::processes) {
            std::cout << " -a '(__fish_complete_pids)'";
        }
        std::cout << " -d '" << escaped(entry.summary, "'\\") << "'\n";
    }
}

} // namespace

int main(int argc, char **argv)
try {
    if (argc != 4 && argc != 5) {
        return 2;
    }
    const std::string_view shell = argv[1];
    const std::string command = argv[2];
    std::ifstream help(argc == 5 ? argv[4] : "");
    const std::vector<Entry> entries = argc == 5 ? of_help(help) : of_supervise();
    if (shell == "bash") {
        std::ifstream frame(argv[3]);
        bash(command, entries, frame);
    } else if (shell == "zsh") {
        zsh(command, entries);
    } else {
        fish(command, entries);
    }
    return !entries.empty() && std::cout.flush() ? 0 : 1;
} catch (const std::exception &error) {
    std::cerr << error.what() << '\n';
    return 1;
}
