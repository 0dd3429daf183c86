// SPDX-License-Identifier: MIT
#include "cli/asked.hpp"
#include "cli/nearest.hpp"
#include "cli/options.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace clone2::cli
{

namespace
{

using Value = std::optional<std::string>;

struct Given {
    const Option *option = nullptr;
    Value value;
};

template <typename Matches>
const Option *find(Matches matches)
{
    const std::span<const Option> known = all_options();
    const auto found = std::find_if(known.begin(), known.end(), matches);
    return found != known.end() ? &*found : nullptr;
}

/// The name of the option that selects one of these modes.
std::string name_for(unsigned modes)
{
    return long_name(*find([&](const Option &option) {
        return option.selects != running && (option.selects & modes) != 0;
    }));
}

/// What was probably meant by an unknown option.
std::string suggestion(std::string_view name)
{
    std::vector<std::string> known;
    known.reserve(all_options().size());
    for (const Option &option : all_options()) {
        known.push_back(long_name(option));
    }
    const std::optional<std::string> meant = nearest(name, known);
    return (meant ? "; did you mean " + *meant + "?" : std::string()) + " (see --help)";
}

/// Separates options from PROGRAM without interpreting them. Returns the error, or "".
std::string split(std::span<const std::string> arguments, std::vector<Given> &given,
                  std::vector<std::string> &program)
{
    std::size_t at = 0;
    while (at < arguments.size() && arguments[at].size() > 1 && arguments[at][0] == '-') {
        std::string_view word = arguments[at++];
        if (word == "--") {
            break;
        }
        // One long option, or bundled short ones: word[1] is the first, then each following one.
        const bool is_long = word[1] == '-';
        for (bool ended = false; !ended && word.size() > 1; word.remove_prefix(1)) {
            const std::string name(is_long ? std::string(word.substr(0, word.find('=')))
                                           : std::string{'-', word[1]});
            const std::string_view attached = word.substr(name.size());
            const Option *const option = find([&](const Option &known) {
                return is_long ? name == long_name(known) : word[1] == known.short_name;
            });
            if (option == nullptr) {
                return "unknown option '" + name + "'" + suggestion(name);
            }
            Value value;
            if (option->argument == nullptr) {
                if (is_long && !attached.empty()) {
                    return "option '" + name + "' takes no value";
                }
            } else if (!attached.empty()) {
                value = attached.substr(is_long ? 1 : 0);
            } else if (!value_optional(*option)) {
                if (at == arguments.size()) {
                    return "option '" + name + "' needs a value: " + option->argument;
                }
                value = arguments[at++];
            }
            given.push_back({option, value});
            ended = is_long || value;
        }
    }
    program.assign(arguments.begin() + static_cast<std::ptrdiff_t>(at), arguments.end());
    return {};
}

/// Why an option does not fit the others, or "".
std::string conflict(const Option &option, Asked &asked)
{
    if ((option.modes & asked.mode) != 0) {
        return option.settle != nullptr ? option.settle(option, asked) : "";
    }
    if (asked.mode == running) {
        return long_name(option) + " goes with " + name_for(option.modes);
    }
    return long_name(option) + " has no effect with " + name_for(asked.mode) +
           (option.modes == running ? ", which runs no program" : "");
}

/// Whether PROGRAM is a number directly after an option that could have had it as its value.
bool is_number_after(const Given &last, std::span<const std::string> arguments,
                     const std::vector<std::string> &program)
{
    return !program.empty() && value_optional(*last.option) && !last.value &&
           program.front().find_first_not_of("0123456789") == std::string::npos &&
           arguments[arguments.size() - program.size() - 1] != "--";
}

} // namespace

Command parse(std::span<const std::string> arguments)
{
    std::vector<Given> given;
    Asked asked;
    Options &options = asked.options;
    if (std::string error = split(arguments, given, options.program); !error.empty()) {
        return UsageError{std::move(error)};
    }
    for (const auto &[option, value] : given) {
        if (const char *const wanted = option->take(*option, value, asked); wanted != nullptr) {
            const std::string &wrong = asked.wrong_part.empty() ? *value : asked.wrong_part;
            return UsageError{long_name(*option) + ": '" + wrong + "' is not " + wanted};
        }
        if (asked.at_once) {
            return *asked.at_once;
        }
        asked.mode = std::max(asked.mode, option->selects);
    }
    for (const auto &[option, value] : given) {
        if (std::string error = conflict(*option, asked); !error.empty()) {
            return UsageError{std::move(error)};
        }
    }
    if (asked.mode == running && options.program.empty()) {
        return UsageError{"no PROGRAM given (see --help)"};
    }
    if (!given.empty() && is_number_after(given.back(), arguments, options.program)) {
        options.not_found_hint = "if it is the value of " + long_name(*given.back().option) +
                                 ", write " + long_name(*given.back().option) + "=" +
                                 options.program.front();
    }
    if (asked.mode != running && !options.program.empty()) {
        return UsageError{name_for(asked.mode) + " runs no program"};
    }
    switch (asked.mode) {
    case checking:
        return Check{options.calls, asked.feature, options.loop, options.listen, options.json};
    case printing:
        return PrintBpf{options.calls, asked.base64};
    case dumping:
        return DumpSlots{asked.pid};
    default:
        return options;
    }
}

} // namespace clone2::cli
