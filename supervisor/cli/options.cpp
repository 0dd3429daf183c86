// SPDX-License-Identifier: MIT
#include "cli/options.hpp"

#include "base/users.hpp"
#include "cli/asked.hpp"

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

/// Whether `take` accepts each part between commas.
template <typename Take>
bool each_of(std::string_view list, Asked &asked, Take take)
{
    for (;;) {
        const std::string_view one = list.substr(0, list.find(','));
        if (!take(one)) {
            asked.wrong_part = one;
            return false;
        }
        if (one.size() == list.size()) {
            return true;
        }
        list.remove_prefix(one.size() + 1);
    }
}

const char *numbers(const Option & /*option*/, const Value &value, Asked &asked)
{
    constexpr const char *wanted = "a system call number (0..1073741823), [ARCH:]N[=ABI]";
    if (!each_of(*value, asked, CallTable::parse)) {
        return wanted;
    }
    // All that are given count.
    asked.numbers += (asked.numbers.empty() ? "" : ",") + *value;
    const std::optional<CallTable> calls = CallTable::parse(asked.numbers);
    asked.options.calls = calls.value_or(CallTable());
    return calls ? nullptr : wanted;
}

const char *depth(const Option & /*option*/, const Value &value, Asked &asked)
{
    const auto given = parse_number<unsigned>(value.value_or("1"), 1, max_pidns_depth);
    asked.options.pidns_depth = given.value_or(0);
    return given ? nullptr : "a depth (1..32)";
}

const char *pid_max(const Option & /*option*/, const Value &value, Asked &asked)
{
    const auto given = parse_number<pid_t>(*value, lowest_pid_max, pid_limit);
    asked.options.pid_max = given.value_or(0);
    return given ? nullptr : "a limit of pids (301..4194304)";
}

template <auto Member, pid_t Lowest>
const char *pid(const Option & /*option*/, const Value &value, Asked &asked)
{
    static_assert(Lowest == 1 || Lowest == 2);
    const auto given = parse_number<pid_t>(*value, Lowest, pid_limit - 1);
    asked.options.*Member = given.value_or(0);
    return given ? nullptr : Lowest == 1 ? "a pid (1..4194303)" : "a pid (2..4194303)";
}

const char *uids(const Option & /*option*/, const Value &value, Asked &asked)
{
    const bool good = each_of(*value, asked, [&](std::string_view text) {
        // The highest value means "none" in every system call.
        auto uid = parse_number<uid_t>(text, 0, std::numeric_limits<uid_t>::max() - 1);
        if (!uid) {
            uid = uid_of_user(std::string(text));
        }
        asked.options.allowed_uids.push_back(uid.value_or(0));
        return uid.has_value();
    });
    return good ? nullptr : "a uid or a user's name";
}

const char *budget(const Option & /*option*/, const Value &value, Asked &asked)
{
    constexpr std::uint64_t most = 1ULL << 32U;
    BudgetTotals &totals = asked.options.budget;
    const std::array names{
        std::pair{"listeners", &totals.listeners}, std::pair{"calls", &totals.calls},
        std::pair{"descriptors", &totals.descriptors}, std::pair{"memory", &totals.memory}};
    const bool good = each_of(*value, asked, [&](std::string_view text) {
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
    return good ? nullptr
                : "listeners=N, calls=N, memory=N or descriptors=N, with N in 4..4294967296";
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

std::string pidns_is_asked(const Option &option, Asked &asked)
{
    return asked.options.pidns_depth != 0 ? "" : long_name(option) + " goes with --pidns";
}

template <auto Member>
std::string is_below_pid_max(const Option &option, Asked &asked)
{
    const Options &options = asked.options;
    if (options.pid_max != 0 && options.*Member >= options.pid_max) {
        return long_name(option) + ": " + std::to_string(options.*Member) +
               " is not below --pid-max=" + std::to_string(options.pid_max);
    }
    return pidns_is_asked(option, asked);
}

std::string log_is_asked(const Option & /*option*/, Asked &asked)
{
    return asked.options.log ? "" : "--log-format goes with --log";
}

std::string json_is_of_use(const Option & /*option*/, Asked &asked)
{
    const bool used = asked.mode == checking || asked.options.stats || asked.options.metrics;
    return used ? "" : "--json goes with --stats or --check";
}

std::string all_calls_may_be_missed(const Option & /*option*/, Asked &asked)
{
    return !asked.options.log && !asked.options.stats
               ? ""
               : "--preload: " + std::string(asked.options.log ? "--log" : "--stats") +
                     " would miss the calls that the library serves";
}

std::string is_not_required(const Option & /*option*/, Asked &asked)
{
    return asked.options.require ? "--optional does not go with --require" : "";
}

/// Calls that the kernel or the library makes are not seen.
std::string needs_supervisor(const Option & /*option*/, Asked &asked)
{
    Options &options = asked.options;
    if (asked.mode == listening) {
        return {};
    }
    const bool kernel = options.provider == Provider::kernel;
    options.provider = Provider::supervisor;
    return kernel             ? "--policy and --inject do not go with --provider=kernel"
           : options.preload  ? "--policy and --inject do not go with --preload"
           : options.optional ? "--policy and --inject do not go with --optional"
                              : "";
}

std::string serves_a_number(const Option & /*option*/, Asked &asked)
{
    const bool nothing = asked.mode == listening && asked.options.provider == Provider::kernel &&
                         asked.options.calls.without_standard().calls().empty();
    return !nothing ? ""
                    : "--listen --provider=kernel: number " + asked.options.calls.text() +
                          " is the kernel's own, so there is nothing to serve (see --nr)";
}

/// Accepts "--check FEATURE", too, because people type that.
std::string feature_may_stand_apart(const Option & /*option*/, Asked &asked)
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
           "each ARCH. The option may be given several times. Of i386:337, x86_64:299, "
           "x86_64:300=eclone and i386:338=eclone only those calls are "
           "taken that can't be recvmmsg or fanotify_init, which have these numbers today"},
    Option{
        0, "pidns", "[=DEPTH]", running, depth,
        "run PROGRAM in DEPTH (default 1) new nested pid namespaces with a new /proc. DEPTH is at "
        "most 32. Without privilege, PROGRAM is also in a new user namespace, as its root"},
    Option{0, "pid", "N", running, pid<&Options::program_pid, 1>,
           "with --pidns: give PROGRAM the pid N in the innermost new namespace. The pids after it "
           "count from there. With 1 PROGRAM is the namespace's init: its children's orphans are "
           "its own to reap, everything in the namespace ends with it, and signals for which it "
           "has no handler are ignored, forwarded ones too, except SIGKILL and SIGSTOP",
           running, is_below_pid_max<&Options::program_pid>},
    Option{0, "first-pid", "N", running, pid<&Options::first_pid, 2>,
           "with --pidns: let the pids after PROGRAM's count from N, in the innermost new "
           "namespace",
           running, is_below_pid_max<&Options::first_pid>},
    Option{0, "pid-max", "N", running, pid_max,
           "with --pidns: keep pids in the innermost new namespace below N. Takes Linux 6.14, "
           "where each pid namespace has its own pid_max. N is 301 to 4194304",
           running, pidns_is_asked},
    Option{0, "map-current-user", nullptr, running, set<&Options::map_current_user, true>,
           "with --pidns: be the same user and group in the new user namespace, not root. PROGRAM "
           "still has all capabilities over the new namespaces, since choosing pids takes them. "
           "With privilege there is no user namespace, and this has no effect",
           running, pidns_is_asked},
    Option{0, "map-auto", nullptr, running, set<&Options::map_auto, true>,
           "with --pidns: also map the user's ranges of /etc/subuid and /etc/subgid. newuidmap(1) "
           "and newgidmap(1) map the first range of each, to the lowest free ids of the new user "
           "namespace. With privilege there is no user namespace, and this has no effect. Uids in "
           "the log are those of the new user namespace",
           running, pidns_is_asked},
    Option{0, "log", "FILE|-", running | listening, file<&Options::log>,
           "append one line per call to FILE, or write it to stderr. SIGHUP reopens FILE, after a "
           "rename; PROGRAM also gets the signal, unless it is sent to the serving process "
           "(clone2-serve) alone. A log that can't be written delays no call: up to 1 MiB of lines "
           "are queued, further ones are dropped, and a line says how many"},
    Option{0, "log-format", "text|json", running | listening,
           choice<&Options::log_format, LogFormat::text, LogFormat::json>,
           "the format of these lines (default text)", running, log_is_asked},
    Option{0, "stats", nullptr, running | listening, set<&Options::stats, true>,
           "at the end, print counts of results and latencies to stderr. An agent also prints them "
           "on SIGUSR1"},
    Option{0, "json", nullptr, running | listening | checking, set<&Options::json, true>,
           "print what --stats or --check prints as JSON", running, json_is_of_use},
    Option{0, "metrics", "PATH", listening, file<&Options::metrics>,
           "with --listen: keep the counts in a file for Prometheus. The file is replaced whole, "
           "every 15 seconds and at the end; PATH.new is written and renamed"},
    Option{
        0, "preload", nullptr, running, set<&Options::preload, true>,
        "serve calls of libc's syscall() inside PROGRAM, with libclone2 in LD_PRELOAD. Such a call "
        "costs what the kernel's own costs, and works under debuggers. The supervisor "
        "serves the rest: bare instructions, static and set-user-ID programs, and 32-bit "
        "programs, unless their libclone2 is installed, too, and --nr has 387 for them. The "
        "library serves one number of --nr, the first x86_64 number with ABI "
        "clone2; if it isn't 387, PROGRAM finds it in CLONE2_NR. --log and --stats would miss "
        "the library's calls, so they can't be used together",
        running, all_calls_may_be_missed},
    Option{0, "require", nullptr, running, set<&Options::require, true>,
           "exit with 125 if a stricter filter, as of a container, refuses a number of --nr. "
           "Without it a warning says so, and PROGRAM runs without clone2"},
    Option{
        0, "optional", nullptr, running, set<&Options::optional, true>,
        "run PROGRAM even where nothing can be served, with a note on stderr. Without it the exit "
        "status is 125 there. That is where the process already has a seccomp listener, as in a "
        "tree that another supervisor serves, which it still does; and where the kernel or a "
        "filter refuses what serving takes. It is still 125 if the serving process is killed or "
        "out of memory when PROGRAM's filter has just been installed, or if others take the "
        "processes or descriptors that were free at the start",
        running, is_not_required},
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
           "print what this kernel and this caller can do. Each form of the call, of each "
           "architecture, is made and served. The exit status is 1 if FEATURE, or without it "
           "anything required, is missing",
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
    Option{'h', "help", nullptr, any_mode, at_once<ShowHelp>, "print the options"},
    Option{'V', "version", nullptr, any_mode, at_once<ShowVersion>, "print the version"},
};

constexpr std::array exits{
    ExitText{"0", "an agent ended on request; --check, --print-bpf, --dump-slots succeeded"},
    ExitText{"1", "--check: FEATURE, or what is required, is missing"},
    ExitText{"125", "clone2-supervise itself failed"},
    ExitText{"126", "PROGRAM can't be executed"},
    ExitText{"127", "PROGRAM was not found"},
    ExitText{"else", "PROGRAM's own; if it died from a signal, clone2-supervise does, too"},
};

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

} // namespace clone2::cli
