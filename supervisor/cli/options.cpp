// SPDX-License-Identifier: MIT
#include "cli/options.hpp"

#include "base/users.hpp"
#include "cli/nearest.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>

namespace clone2::cli
{

struct Asked {
    Options options;
    std::optional<std::string> feature; ///< --check
    bool base64 = false;                ///< --print-bpf
    pid_t pid = 0;                      ///< --dump-slots
    Mode mode = running;
    std::optional<Command> at_once; ///< takes precedence over everything else
};

namespace
{

using Value = std::optional<std::string>;

template <typename T>
std::optional<T> parse_number(std::string_view text, T low, T high)
{
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) {
        return std::nullopt;
    }
    return value;
}

// Functions for Option::take.

template <auto Member, auto Setting>
const char *set(const Option & /*option*/, const Value & /*value*/, Asked &asked)
{
    asked.options.*Member = Setting;
    return nullptr;
}

/// `Settings`: in the order of the option's argument, "text|json".
template <auto Member, auto... Settings>
const char *choice(const Option &option, const Value &value, Asked &asked)
{
    std::string_view names = option.argument;
    for (const auto setting : {Settings...}) {
        const std::string_view name = names.substr(0, names.find('|'));
        if (*value == name) {
            asked.options.*Member = setting;
            return nullptr;
        }
        names.remove_prefix(std::min(name.size() + 1, names.size()));
    }
    return option.argument;
}

template <auto Member>
const char *file(const Option & /*option*/, const Value &value, Asked &asked)
{
    asked.options.*Member = value;
    return value->empty() ? "a file's name" : nullptr;
}

const char *numbers(const Option & /*option*/, const Value &value, Asked &asked)
{
    const std::optional<CallTable> calls = CallTable::parse(*value);
    asked.options.calls = calls.value_or(CallTable());
    return calls ? nullptr : "a system call number (0..1073741823), [ARCH:]N[=ABI]";
}

const char *depth(const Option & /*option*/, const Value &value, Asked &asked)
{
    const auto given = parse_number<unsigned>(value.value_or("1"), 1, max_pidns_depth);
    asked.options.pidns_depth = given.value_or(0);
    return given ? nullptr : "a depth (1..32)";
}

/// Whether `take` accepts each part between commas.
template <typename Take>
bool each_of(std::string_view list, Take take)
{
    for (;;) {
        const std::string_view one = list.substr(0, list.find(','));
        if (!take(one)) {
            return false;
        }
        if (one.size() == list.size()) {
            return true;
        }
        list.remove_prefix(one.size() + 1);
    }
}

const char *uids(const Option &option, const Value &value, Asked &asked)
{
    const bool good = each_of(*value, [&](std::string_view text) {
        // The highest value means "none" in every system call.
        auto uid = parse_number<uid_t>(text, 0, std::numeric_limits<uid_t>::max() - 1);
        if (!uid) {
            uid = uid_of_user(std::string(text));
        }
        asked.options.allowed_uids.push_back(uid.value_or(0));
        return uid.has_value();
    });
    return good ? nullptr : option.argument;
}

const char *budget(const Option &option, const Value &value, Asked &asked)
{
    constexpr std::uint64_t most = 1ULL << 32U;
    BudgetTotals &totals = asked.options.budget;
    const std::array names{
        std::pair{"listeners", &totals.listeners}, std::pair{"calls", &totals.calls},
        std::pair{"descriptors", &totals.descriptors}, std::pair{"memory", &totals.memory}};
    const bool good = each_of(*value, [&](std::string_view text) {
        const std::string_view name = text.substr(0, text.find('='));
        text.remove_prefix(std::min(name.size() + 1, text.size()));
        // Half of it must be divisible among users.
        const auto total = parse_number<std::uint64_t>(text, 4, most);
        const auto *const named = std::find_if(
            names.begin(), names.end(), [&](const auto &known) { return name == known.first; });
        if (!total || named == names.end()) {
            return false;
        }
        *named->second = *total;
        return true;
    });
    return good ? nullptr : option.argument;
}

const char *injection(const Option & /*option*/, const Value &value, Asked &asked)
{
    const std::optional<Injection> given = parse_injection(*value);
    if (!given) {
        return "ERRNO[:when=FIRST[..LAST][+[STEP]]], as EBUSY:when=2..3";
    }
    asked.options.injections.push_back(*given);
    return nullptr;
}

/// Given twice, it shows more.
const char *verbose(const Option & /*option*/, const Value & /*value*/, Asked &asked)
{
    Verbosity &verbosity = asked.options.verbosity;
    verbosity = verbosity >= Verbosity::verbose ? Verbosity::tracing : Verbosity::verbose;
    return nullptr;
}

const char *feature(const Option & /*option*/, const Value &value, Asked &asked)
{
    asked.feature = value;
    return nullptr;
}

const char *encoding(const Option & /*option*/, const Value &value, Asked &asked)
{
    asked.base64 = value.has_value();
    return !value || *value == "base64" ? nullptr : "base64";
}

const char *process(const Option & /*option*/, const Value &value, Asked &asked)
{
    const auto pid = parse_number<pid_t>(*value, 1, std::numeric_limits<pid_t>::max());
    asked.pid = pid.value_or(0);
    return pid ? nullptr : "a process id";
}

template <typename Show>
const char *at_once(const Option & /*option*/, const Value & /*value*/, Asked &asked)
{
    asked.at_once = Show{};
    return nullptr;
}

// Functions for Option::settle.

std::string log_is_asked(Asked &asked)
{
    return asked.options.log ? "" : "--log-format goes with --log";
}

std::string all_calls_may_be_missed(Asked &asked)
{
    return !asked.options.log && !asked.options.stats
               ? ""
               : "--preload: " + std::string(asked.options.log ? "--log" : "--stats") +
                     " would miss the calls that the library serves";
}

/// Calls that the kernel or the library makes are not seen.
std::string needs_supervisor(Asked &asked)
{
    Options &options = asked.options;
    if (asked.mode == listening) {
        return {};
    }
    const bool kernel = options.provider == Provider::kernel;
    options.provider = Provider::supervisor;
    return kernel            ? "--policy and --inject do not go with --provider=kernel"
           : options.preload ? "--policy and --inject do not go with --preload"
                             : "";
}

std::string serves_a_number(Asked &asked)
{
    const bool nothing = asked.mode == listening && asked.options.provider == Provider::kernel &&
                         asked.options.calls.without_standard().calls().empty();
    return !nothing ? ""
                    : "--listen --provider=kernel: number " + asked.options.calls.text() +
                          " is the kernel's own, so there is nothing to serve (see --nr)";
}

/// Accepts "--check FEATURE", too, because people type that.
std::string feature_may_stand_apart(Asked &asked)
{
    if (!asked.feature && asked.options.program.size() == 1) {
        asked.feature = asked.options.program.front();
        asked.options.program.clear();
    }
    return {};
}

constexpr std::array table{
    Option{'n', "nr", "N[,N...]", any_mode & ~unsigned{dumping}, numbers,
           "the system call numbers to serve, each as [ARCH:]N[=ABI] (default 387). ARCH is x86_64 "
           "(default) or "
           "i386. ABI is clone2 "
           "(default), eclone or clone_with_pids, the forms before and after it. Default: 387 of "
           "each ARCH. Of i386:337, x86_64:300=eclone and i386:338=eclone only those calls are "
           "taken that can't be recvmmsg or fanotify_init, which have these numbers today"},
    Option{
        0, "pidns", "[=DEPTH]", running, depth,
        "run PROGRAM in DEPTH (default 1) new nested pid namespaces with a new /proc. DEPTH is at "
        "most 32. Without privilege, PROGRAM is also in a new user namespace, as its root"},
    Option{0, "log", "FILE|-", running | listening, file<&Options::log>,
           "append one line per call to FILE, or write it to stderr. SIGHUP reopens FILE, after a "
           "rename; PROGRAM also gets the signal, unless it is sent to the serving process "
           "(clone2-serve) alone. A log that can't be written delays no call: up to 1 MiB of lines "
           "are queued, further ones are dropped, and a line says how many"},
    Option{0, "log-format", "text|json", running | listening,
           choice<&Options::log_format, LogFormat::text, LogFormat::json>,
           "the format of these lines (default text)", running, log_is_asked},
    Option{0, "stats", nullptr, running | listening, set<&Options::stats, true>,
           "at the end, print counts of results and latencies to stderr"},
    Option{
        0, "preload", nullptr, running, set<&Options::preload, true>,
        "serve calls of libc's syscall() inside PROGRAM, with libclone2 in LD_PRELOAD. Such a call "
        "costs what the kernel's own costs, and works under debuggers. The supervisor "
        "serves the rest: bare instructions, static and set-user-ID programs, other "
        "architectures. The library serves one number of --nr, the first x86_64 number with ABI "
        "clone2; if it isn't 387, PROGRAM finds it in CLONE2_NR. --log and --stats would miss "
        "the library's calls, so they can't be used together",
        running, all_calls_may_be_missed},
    Option{0, "require", nullptr, running, set<&Options::require, true>,
           "exit with 125 if a stricter filter, as of a container, refuses a number of --nr. "
           "Without it a warning says so, and PROGRAM runs without clone2"},
    Option{0, "wait-all", nullptr, running, set<&Options::wait_all, true>,
           "also wait for all processes that PROGRAM leaves behind"},
    Option{0, "die-with-parent", nullptr, running, set<&Options::die_with_parent, true>,
           "kill PROGRAM and its processes when clone2-supervise is killed or its parent dies. The "
           "parent is the process that started it, not only the thread. What PROGRAM leaves behind "
           "at its own end lives on, unless --wait-all waits for it. Processes that may not be "
           "killed, as set-user-ID ones, stay. Without this option PROGRAM survives both, and goes "
           "on being served"},
    Option{0, "exit-status", "signal|128", running,
           choice<&Options::exit_status, ExitStatus::signal, ExitStatus::code128>,
           "if PROGRAM dies from signal S: die from it, too (default), or exit with 128+S"},
    Option{0, "event-loop", "auto|io_uring|epoll", running | listening | checking,
           choice<&Options::loop, LoopChoice::automatic, LoopChoice::io_uring, LoopChoice::epoll>,
           "how to wait for events (default auto, which is epoll). With io_uring, a call that is "
           "held up can delay others"},
    Option{0, "provider", "auto|supervisor|kernel", running | listening,
           choice<&Options::provider, Provider::automatic, Provider::supervisor, Provider::kernel>,
           "what makes the calls (default auto). auto is a patched kernel's own clone2, which is "
           "then left alone, else the supervisor",
           running, serves_a_number},
    Option{0, "listen", "PATH", listening | checking, file<&Options::listen>,
           "serve as an agent, without a PROGRAM, on this unix socket. It runs in the foreground. "
           "clone2-shim and OCI runtimes (listenerPath) send the listeners of their programs to "
           "this socket. Allowed peers "
           "are root and the agent's own user. On SIGTERM the agent finishes calls in progress and "
           "ends. A socket passed by systemd (LISTEN_FDS) is used instead of PATH; with "
           "FileDescriptorStoreMax= a restart loses no program",
           listening},
    Option{0, "allow-uid", "UID[,UID...]", listening, uids,
           "with --listen: these users may connect, too. Each is a uid or a name. The socket is "
           "then open to all, and peers are checked. In a user namespace that doesn't map all "
           "users, 65534 stands for every "
           "unmapped user and admits no one"},
    Option{0, "policy", "FILE", running | listening, file<&Options::policy>,
           "limit pids, flags and children by a file of rules. The file is JSON: "
           "{\"rules\": [{\"match\": {\"uid\", "
           "\"container\", \"metadata\", \"annotations\"}, \"pids\": [[FIRST, LAST]], \"flags\": "
           "[\"CLONE_NEWPID\"], \"max_children\": N, \"deny\": REASON}]}. The first rule that "
           "matches decides; refused calls, and calls that no rule matches, get EPERM. A text must "
           "match exactly, or up to a '*' at its end; a uid may be a user's name. SIGHUP reloads "
           "the file; one with an error "
           "changes nothing. max_children: live processes created by clone2 through one listener; "
           "threads, zombies and children of fork don't count. Without --listen, PROGRAM and its "
           "descendants have the caller's uid and no container, metadata or annotations",
           running, needs_supervisor},
    Option{
        0, "inject", "ERRNO[:when=...]", running, injection,
        "fail calls with ERRNO without making them, as strace's --inject. when=N: call number N, "
        "counted from 1, of PROGRAM and all its descendants together, in the order of arrival; "
        "N..M: those from N to M; N+: those from N on; N+S: N, N+S, and so on; N..M+S: up to M. "
        "Default: every call. It may be given several times; of several that hit a call the "
        "first counts. The log says which calls failed for it",
        running, needs_supervisor},
    Option{0, "budget", "NAME=N[,...]", listening, budget,
           "with --listen: limits for all peers together. They are listeners=8192, calls=1024 (in "
           "progress at once), memory=256 (MiB), descriptors (default: what the file descriptor "
           "limit leaves). A "
           "user may hold as much as stays free for others, so a single user gets at most half. "
           "Beyond that, calls wait, everything else is refused, and a warning says so"},
    Option{'v', "verbose", nullptr, running | listening, verbose,
           "print on stderr what is happening; -vv: also each stage of each call. The stages are "
           "received, read, planned, slot, redirected, reported, answered; with the calling "
           "thread and the microseconds since the call was received"},
    Option{'q', "quiet", nullptr, running | listening, set<&Options::verbosity, Verbosity::quiet>,
           "print no warnings"},
    Option{0, "check", "[=FEATURE]", checking, feature,
           "print what this kernel and this caller can do. The exit status is 1 if FEATURE, or "
           "without it anything required, is missing",
           checking, feature_may_stand_apart},
    Option{0, "print-bpf", "[=base64]", printing, encoding,
           "write the seccomp filter for --nr to stdout, raw or in base64. crun's annotation "
           "run.oci.seccomp_bpf_data takes the latter",
           printing},
    Option{0, "dump-slots", "PID", dumping, process,
           "print what a supervised process holds of ours. That is where the code and the area "
           "are, and "
           "each slot in use with its owner and its call. The process is only read, and not "
           "stopped. Takes the right to trace it",
           dumping},
    Option{'h', "help", nullptr, any_mode, at_once<ShowHelp>, "this text"},
    Option{'V', "version", nullptr, any_mode, at_once<ShowVersion>, "the version"},
};

constexpr std::array exits{
    ExitText{"0", "an agent ended on request; --check, --print-bpf, --dump-slots succeeded"},
    ExitText{"125", "clone2-supervise itself failed"},
    ExitText{"126", "PROGRAM can't be executed"},
    ExitText{"127", "PROGRAM was not found"},
    ExitText{"else", "PROGRAM's own; if it died from a signal, clone2-supervise does, too"},
};

struct Given {
    const Option *option = nullptr;
    Value value;
};

template <typename Matches>
const Option *find(Matches matches)
{
    const auto *const found = std::find_if(table.begin(), table.end(), matches);
    return found != table.end() ? found : nullptr;
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
    known.reserve(table.size());
    for (const Option &option : table) {
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
        return option.settle != nullptr ? option.settle(asked) : "";
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

std::string long_name(const Option &option)
{
    return std::string("--") + option.long_name;
}

bool value_optional(const Option &option)
{
    return option.argument != nullptr && option.argument[0] == '[';
}

std::span<const Option> all_options()
{
    return table;
}

std::span<const ExitText> exit_texts()
{
    return exits;
}

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
            return UsageError{long_name(*option) + ": '" + *value + "' is not " + wanted};
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
        return Check{options.calls, asked.feature, options.loop, options.listen};
    case printing:
        return PrintBpf{options.calls, asked.base64};
    case dumping:
        return DumpSlots{asked.pid};
    default:
        return options;
    }
}

} // namespace clone2::cli
