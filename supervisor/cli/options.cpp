// SPDX-License-Identifier: MIT
#include "cli/options.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>

namespace clone2::cli
{

namespace
{

constexpr std::array texts{
    OptionText{'n', "nr", "N", any_mode, "the system call number to give to clone2 (default 387)"},
    OptionText{0, "pidns", "[=DEPTH]", running,
               "run PROGRAM in DEPTH (default 1, at most 32) new nested pid namespaces with a "
               "fresh /proc; without privilege in a new user namespace, too, as its root"},
    OptionText{
        0, "log", "FILE|-", running | listening,
        "append one line for each call to FILE, or write it to stderr. SIGHUP opens FILE anew, "
        "after it was renamed; PROGRAM gets that signal, too, unless it is sent to the serving "
        "process (clone2-serve) alone. A log that can't be written holds up no call: up to 1 MiB "
        "of lines wait, those beyond are dropped, and a line says how many"},
    OptionText{0, "log-format", "text|json", running | listening,
               "the form of these lines (default text)"},
    OptionText{0, "stats", nullptr, running | listening,
               "at the end, print counts of results and latencies to stderr"},
    OptionText{0, "wait-all", nullptr, running,
               "wait for all processes that PROGRAM has left behind, too"},
    OptionText{0, "exit-status", "signal|128", running,
               "when PROGRAM dies of signal S: die of it, too (default), or exit with 128+S"},
    OptionText{
        0, "event-loop", "auto|io_uring|epoll", running | listening | checking,
        "what to wait with (default auto, which is epoll; with io_uring, one call that is held "
        "up can hold up others)"},
    OptionText{
        0, "provider", "auto|supervisor|kernel", running | listening,
        "who makes the calls (default auto: a patched kernel's own clone2, which is then left "
        "alone, else the supervisor)"},
    OptionText{0, "listen", "PATH", listening | checking,
               "run no PROGRAM, but serve as an agent, in the foreground, the programs of "
               "clone2-shim and of OCI runtimes (listenerPath) that send their listener to this "
               "unix socket. Peers are root and the own user. SIGTERM ends it when the calls under "
               "way are through. A socket passed by systemd (LISTEN_FDS) is used in place of PATH; "
               "with FileDescriptorStoreMax= a restart loses no program"},
    OptionText{
        0, "allow-uid", "UID[,UID...]", listening,
        "with --listen: these users may connect, too (the socket then is open to all, and who "
        "connects is looked at). In a user namespace that doesn't map all users, 65534 is "
        "everybody who is not mapped, and lets nobody in"},
    OptionText{
        0, "policy", "FILE", listening,
        "with --listen: a JSON file of rules, {\"rules\": [{\"match\": {\"uid\", "
        "\"container\", \"metadata\", \"annotations\"}, \"pids\": [[FIRST, LAST]], \"flags\": "
        "[\"CLONE_NEWPID\"], \"max_children\": N, \"deny\": REASON}]}. The first rule that "
        "matches decides; what is refused gets EPERM, and so does whom no rule matches. A "
        "text matches as a whole, or up to a '*' at its end. SIGHUP reads it again; a file "
        "with an error changes nothing. max_children: processes made by clone2 through one "
        "listener and alive at once; threads, zombies and children of fork don't count"},
    OptionText{
        0, "budget", "NAME=N[,...]", listening,
        "with --listen: what all peers together may use: listeners=8192, calls=1024 (under way at "
        "once), memory=256 (MiB), descriptors (default what the limit of open files leaves). A "
        "user gets as much as stays free for others: alone at most half. What is beyond that is "
        "refused, calls wait, and a warning says so"},
    OptionText{'v', "verbose", nullptr, running | listening, "say what is going on, on stderr"},
    OptionText{'q', "quiet", nullptr, running | listening, "no warnings"},
    OptionText{0, "check", "[=FEATURE]", checking,
               "say what this kernel and this caller can do, and what follows from it; exit "
               "status 1 if (the) something is missing"},
    OptionText{0, "print-bpf", "[=base64]", printing,
               "write the seccomp filter for --nr to stdout, as it is or in base64: what crun's "
               "annotation run.oci.seccomp_bpf_data takes"},
    OptionText{'h', "help", nullptr, any_mode, "this text"},
    OptionText{'V', "version", nullptr, any_mode, "the version"},
};

constexpr std::array exits{
    ExitText{"0", "an agent that was asked to end; what --check or --print-bpf could say"},
    ExitText{"125", "clone2-supervise itself failed"},
    ExitText{"126", "PROGRAM can't be executed"},
    ExitText{"127", "PROGRAM was not found"},
    ExitText{"else", "PROGRAM's own; if it died of a signal, clone2-supervise does, too"},
};

struct Given {
    const OptionText *option = nullptr;
    std::optional<std::string> value;
};

const OptionText *find_long(std::string_view name)
{
    const auto *const found = std::find_if(
        texts.begin(), texts.end(), [&](const auto &option) { return name == option.long_name; });
    return found != texts.end() ? found : nullptr;
}

const OptionText *find_short(char name)
{
    const auto *const found = std::find_if(
        texts.begin(), texts.end(), [&](const auto &option) { return option.short_name == name; });
    return found != texts.end() ? found : nullptr;
}

bool takes_value(const OptionText &option)
{
    return option.argument != nullptr;
}

bool value_optional(const OptionText &option)
{
    return takes_value(option) && option.argument[0] == '[';
}

template <typename T>
std::optional<T> parse_number(const std::string &text, T low, T high)
{
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty() || value < low ||
        value > high) {
        return std::nullopt;
    }
    return value;
}

/// Splits options from PROGRAM, without knowing what they mean.
std::optional<UsageError> split(std::span<const std::string> arguments, std::vector<Given> &given,
                                std::vector<std::string> &rest)
{
    std::size_t at = 0;
    const auto value_of = [&](Given &one, const std::string &shown) -> std::optional<UsageError> {
        if (at >= arguments.size()) {
            return UsageError{"option '" + shown + "' needs a value: " + one.option->argument};
        }
        one.value = arguments[at++];
        return std::nullopt;
    };
    while (at < arguments.size()) {
        const std::string &word = arguments[at];
        if (word == "--") {
            ++at;
            break;
        }
        if (word.size() < 2 || word[0] != '-') {
            break;
        }
        ++at;
        if (word[1] == '-') {
            const std::size_t equals = word.find('=');
            const std::string name = word.substr(0, equals);
            Given one{find_long(std::string_view(name).substr(2)), std::nullopt};
            if (one.option == nullptr) {
                return UsageError{"unknown option '" + name + "'"};
            }
            if (equals != std::string::npos) {
                if (!takes_value(*one.option)) {
                    return UsageError{"option '" + name + "' takes no value"};
                }
                one.value = word.substr(equals + 1);
            } else if (takes_value(*one.option) && !value_optional(*one.option)) {
                if (auto error = value_of(one, name)) {
                    return error;
                }
            }
            given.push_back(one);
            continue;
        }
        for (std::size_t i = 1; i < word.size(); ++i) {
            const std::string shown = std::string("-") + word[i];
            Given one{find_short(word[i]), std::nullopt};
            if (one.option == nullptr) {
                return UsageError{"unknown option '" + shown + "'"};
            }
            const bool last = i + 1 == word.size();
            if (takes_value(*one.option) && !last) {
                one.value = word.substr(i + 1);
                given.push_back(one);
                break;
            }
            if (takes_value(*one.option)) {
                if (auto error = value_of(one, shown)) {
                    return error;
                }
            }
            given.push_back(one);
        }
    }
    const auto program = arguments.subspan(at);
    rest.assign(program.begin(), program.end());
    return std::nullopt;
}

/// The choice among named values; nullopt: none of them.
template <typename T, std::size_t N>
std::optional<T> choose(const std::string &value,
                        const std::array<std::pair<const char *, T>, N> &choices)
{
    for (const auto &[name, choice] : choices) {
        if (value == name) {
            return choice;
        }
    }
    return std::nullopt;
}

/// "0,1000,1001".
std::optional<std::vector<uid_t>> parse_uids(const std::string &text)
{
    std::vector<uid_t> uids;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t comma = std::min(text.find(',', at), text.size());
        // The highest one means "none" to every system call.
        const auto uid = parse_number<uid_t>(text.substr(at, comma - at), 0,
                                             std::numeric_limits<uid_t>::max() - 1);
        if (!uid) {
            return std::nullopt;
        }
        uids.push_back(*uid);
        at = comma + 1;
    }
    return uids;
}

/// "calls=64,memory=16".
bool parse_budget(const std::string &text, BudgetTotals &budget)
{
    constexpr std::uint64_t most = 1ULL << 32U;
    const std::array names{
        std::pair{"listeners", &budget.listeners}, std::pair{"calls", &budget.calls},
        std::pair{"descriptors", &budget.descriptors}, std::pair{"memory", &budget.memory}};
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t comma = std::min(text.find(',', at), text.size());
        const std::size_t equals = std::min(text.find('=', at), comma);
        const auto name = choose(text.substr(at, equals - at), names);
        // Half of it has to be shared out.
        const auto value = parse_number<std::uint64_t>(
            text.substr(std::min(equals + 1, comma), comma - std::min(equals + 1, comma)), 4, most);
        if (!name || !value) {
            return false;
        }
        **name = *value;
        at = comma + 1;
    }
    return true;
}

/// Options that mean nothing with what else is asked for.
std::optional<UsageError> conflict(const std::vector<Given> &given, Mode mode,
                                   const Options &options)
{
    for (const Given &one : given) {
        const std::string name = std::string("--") + one.option->long_name;
        if ((one.option->modes & mode) == 0) {
            return mode == running
                       ? UsageError{name + " goes with --listen"}
                       : UsageError{name + " has no effect with " +
                                    (mode == checking    ? "--check"
                                     : mode == listening ? "--listen, which runs no program"
                                                         : "--print-bpf")};
        }
        if (name == "--log-format" && !options.log) {
            return UsageError{name + " goes with --log"};
        }
    }
    if (mode == listening && !options.program.empty()) {
        return UsageError{"--listen runs no program"};
    }
    if (mode == listening && options.provider == Provider::kernel && options.nr == default_nr) {
        return UsageError{"--listen --provider=kernel: number " + std::to_string(default_nr) +
                          " is the kernel's own, there is nothing to serve (see --nr)"};
    }
    return std::nullopt;
}

std::optional<UsageError> apply(const Given &one, Options &options)
{
    const std::string name = one.option->long_name;
    const std::string value = one.value.value_or("");
    const UsageError bad{"--" + name + ": '" + value + "' is not " +
                         (one.option->argument != nullptr ? one.option->argument : "")};
    if (name == "nr") {
        constexpr int highest = 0x3fffffff; // above it x32 begins
        const auto nr = parse_number<int>(value, 0, highest);
        if (!nr) {
            return UsageError{"--nr: '" + value + "' is not a system call number (0.." +
                              std::to_string(highest) + ")"};
        }
        options.nr = *nr;
    } else if (name == "pidns") {
        const auto depth = parse_number<unsigned>(one.value.value_or("1"), 1, max_pidns_depth);
        if (!depth) {
            return UsageError{"--pidns: '" + value + "' is not a depth (1..32)"};
        }
        options.pidns_depth = *depth;
    } else if (name == "log") {
        if (value.empty()) {
            return UsageError{"--log: the file's name is empty"};
        }
        options.log = value;
    } else if (name == "log-format") {
        const auto format = choose(value, std::array{std::pair{"text", LogFormat::text},
                                                     std::pair{"json", LogFormat::json}});
        if (!format) {
            return bad;
        }
        options.log_format = *format;
    } else if (name == "exit-status") {
        const auto status = choose(value, std::array{std::pair{"signal", ExitStatus::signal},
                                                     std::pair{"128", ExitStatus::code128}});
        if (!status) {
            return bad;
        }
        options.exit_status = *status;
    } else if (name == "event-loop") {
        const auto loop = choose(value, std::array{std::pair{"auto", LoopChoice::automatic},
                                                   std::pair{"io_uring", LoopChoice::io_uring},
                                                   std::pair{"epoll", LoopChoice::epoll}});
        if (!loop) {
            return bad;
        }
        options.loop = *loop;
    } else if (name == "provider") {
        const auto provider =
            choose(value, std::array{std::pair{"auto", Provider::automatic},
                                     std::pair{"supervisor", Provider::supervisor},
                                     std::pair{"kernel", Provider::kernel}});
        if (!provider) {
            return bad;
        }
        options.provider = *provider;
    } else if (name == "listen" || name == "policy") {
        if (value.empty()) {
            return UsageError{"--" + name + ": the file's name is empty"};
        }
        (name == "listen" ? options.listen : options.policy) = value;
    } else if (name == "allow-uid") {
        const auto uids = parse_uids(value);
        if (!uids) {
            return bad;
        }
        options.allowed_uids.insert(options.allowed_uids.end(), uids->begin(), uids->end());
    } else if (name == "budget") {
        if (!parse_budget(value, options.budget)) {
            return bad;
        }
    } else if (name == "stats") {
        options.stats = true;
    } else if (name == "wait-all") {
        options.wait_all = true;
    } else if (name == "verbose") {
        options.verbosity = Verbosity::verbose;
    } else if (name == "quiet") {
        options.verbosity = Verbosity::quiet;
    }
    return std::nullopt;
}

std::string spelled(const OptionText &option)
{
    std::string text =
        option.short_name != 0 ? std::string("-") + option.short_name + ", " : "    ";
    text += std::string("--") + option.long_name;
    if (option.argument != nullptr) {
        text += (option.argument[0] == '[' ? "" : " ") + std::string(option.argument);
    }
    return text;
}

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

} // namespace

std::span<const OptionText> option_texts()
{
    return texts;
}

std::span<const ExitText> exit_texts()
{
    return exits;
}

std::string help_text()
{
    constexpr std::size_t column = 28;
    constexpr std::size_t width = 50;
    std::string help = "Usage: clone2-supervise [OPTION...] [--] PROGRAM [ARG...]\n"
                       "       clone2-supervise --listen PATH [OPTION...]\n"
                       "       clone2-supervise --check[=FEATURE]\n\n"
                       "Run PROGRAM with the clone2 system call: clone() with chosen pids.\n\n";
    for (const OptionText &option : texts) {
        std::string left = "  " + spelled(option);
        for (const std::string &line : wrap(option.text, width)) {
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
    for (const ExitText &exit : exits) {
        std::string left = std::string("  ") + exit.status;
        left.resize(8, ' ');
        help += left + exit.text + "\n";
    }
    return help;
}

Command parse(std::span<const std::string> arguments)
{
    std::vector<Given> given;
    Options options;
    if (auto error = split(arguments, given, options.program)) {
        return *error;
    }
    std::optional<Check> check;
    std::optional<PrintBpf> bpf;
    for (const Given &one : given) {
        const std::string_view name = one.option->long_name;
        if (name == "help") {
            return ShowHelp{};
        }
        if (name == "version") {
            return ShowVersion{};
        }
        if (name == "print-bpf") {
            if (one.value && *one.value != "base64") {
                return UsageError{"--print-bpf: '" + *one.value + "' is not base64"};
            }
            bpf = PrintBpf{default_nr, one.value.has_value()};
        } else if (name == "check") {
            check = Check{default_nr, one.value, LoopChoice::automatic, std::nullopt};
        } else if (auto error = apply(one, options)) {
            return *error;
        }
    }
    if (check && bpf) {
        return UsageError{"--check and --print-bpf are two things"};
    }
    const Mode mode = check ? checking : bpf ? printing : options.listen ? listening : running;
    if (auto error = conflict(given, mode, options)) {
        return *error;
    }
    if (check) {
        // "--check FEATURE" is what people type, too.
        if (!check->feature && options.program.size() == 1) {
            check->feature = options.program.front();
        } else if (!options.program.empty()) {
            return UsageError{"--check runs no program"};
        }
        check->nr = options.nr;
        check->loop = options.loop;
        check->listen = options.listen;
        return *check;
    }
    if (bpf) {
        if (!options.program.empty()) {
            return UsageError{"--print-bpf runs no program"};
        }
        bpf->nr = options.nr;
        return *bpf;
    }
    if (options.listen) {
        return options;
    }
    if (options.program.empty()) {
        return UsageError{"no PROGRAM given (see --help)"};
    }
    return options;
}

} // namespace clone2::cli
