// SPDX-License-Identifier: MIT
#pragma once

#include "abi/call_table.hpp"
#include "audit/log.hpp"
#include "base/diagnostics.hpp"
#include "cli/injection.hpp"
#include "loop/event_loop.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <sys/types.h>
#include <variant>
#include <vector>

namespace clone2::cli
{

constexpr unsigned max_pidns_depth = 32;
/// The kernel's own limit (PID_MAX_LIMIT): pids are below it.
constexpr pid_t pid_limit = 1 << 22;
/// The lowest pid_max that the kernel takes. With very many CPUs it takes only higher ones.
constexpr pid_t lowest_pid_max = 301;

/// What the wrapper does when PROGRAM dies from a signal.
enum class ExitStatus { signal, code128 };

/// What makes the calls.
enum class Provider {
    automatic,  ///< the kernel if it has clone2, else the supervisor
    supervisor, ///< the supervisor, with clone3
    kernel      ///< the kernel's own clone2, or nothing
};

/// Limits for all peers of an agent together.
struct BudgetTotals {
    std::uint64_t listeners = 8192;
    std::uint64_t calls = 1024;    ///< in progress at once
    std::uint64_t descriptors = 0; ///< 0: what the file descriptor limit leaves
    std::uint64_t memory = 256;    ///< MiB
};

/// The parsed command line.
struct Options {
    CallTable calls;          ///< to be given to us
    unsigned pidns_depth = 0; ///< 0: none
    pid_t program_pid = 0;    ///< in the innermost of them; 1: its init; 0: as it comes
    pid_t first_pid = 0;      ///< from which the pids after PROGRAM's count; 0: from PROGRAM's
    pid_t pid_max = 0;        ///< of the innermost of them; 0: the kernel's choice
    bool map_current_user = false;
    bool map_auto = false;
    std::optional<std::string> log;
    LogFormat log_format = LogFormat::text;
    Verbosity verbosity = Verbosity::normal;
    bool stats = false;
    std::optional<std::string> metrics;
    bool json = false; ///< of --stats
    bool wait_all = false;
    bool die_with_parent = false;
    bool preload = false;
    bool require = false;  ///< run no PROGRAM for which a filter refuses a number
    bool optional = false; ///< run PROGRAM even if nothing can be served
    ExitStatus exit_status = ExitStatus::signal;
    LoopChoice loop = LoopChoice::automatic;
    Provider provider = Provider::automatic;
    std::vector<std::string> program;
    std::string not_found_hint; ///< what may have been meant if PROGRAM is not found
    /// Run as an agent on this socket instead of running a program.
    std::optional<std::string> listen;
    std::vector<uid_t> allowed_uids;
    std::optional<std::string> policy;
    std::vector<Injection> injections;
    BudgetTotals budget;
};

/// Things to do other than running a program.
struct ShowHelp {
};
struct ShowVersion {
};
struct Check {
    CallTable calls;
    std::optional<std::string> feature;
    LoopChoice loop = LoopChoice::automatic;
    std::optional<std::string> listen; ///< where to look for an agent
    bool json = false;
};
struct PrintBpf {
    CallTable calls;
    bool base64 = false;
};
struct DumpSlots {
    pid_t pid = 0;
};
struct UsageError {
    std::string message;
};

using Command =
    std::variant<Options, ShowHelp, ShowVersion, Check, PrintBpf, DumpSlots, UsageError>;

/// Options end at the first non-option or at "--". Pure but for the names of users, which it looks
/// up.
[[nodiscard]] Command parse(std::span<const std::string> arguments);

/// What the command is asked to do, as a set of bits. The highest bit set counts.
enum Mode : unsigned {
    running = 1,   ///< PROGRAM
    listening = 2, ///< --listen
    checking = 4,  ///< --check
    printing = 8,  ///< --print-bpf
    dumping = 16,  ///< --dump-slots
    any_mode = 31
};

/// The result of all options together.
struct Asked;

/// Everything about one option; --help, the manual page and parse() use it.
struct Option {
    char short_name; ///< 0: none
    const char *long_name;
    const char *argument; ///< nullptr: none; "[=DEPTH]" style if optional
    unsigned modes;       ///< modes in which it has an effect; in others it is an error
    /// Stores the option in `asked`. Returns nullptr, or what the value should have been.
    const char *(*take)(const Option &option, const std::optional<std::string> &value,
                        Asked &asked);
    /// Its first sentence is what --help shows.
    const char *text;
    Mode selects = running; ///< what the command does because of it
    /// Sees all options together: completes them, or returns why this one does not fit.
    std::string (*settle)(const Option &option, Asked &asked) = nullptr;
};
[[nodiscard]] std::span<const Option> all_options();

/// "--nr".
[[nodiscard]] std::string long_name(const Option &option);
/// Whether a value may be given, with "=", but need not.
[[nodiscard]] bool value_optional(const Option &option);
/// As typed: "-n, --nr N".
[[nodiscard]] std::string spelled(const Option &option);
/// What may follow the command's name, one line per mode.
[[nodiscard]] std::vector<std::string> usage();

/// An exit status of the command and its meaning.
struct ExitText {
    const char *status;
    const char *text;
};
[[nodiscard]] std::span<const ExitText> exit_texts();

/// The output of --help: at most 80 lines of 80 columns. The manual page has the rest.
[[nodiscard]] std::string help_text();

} // namespace clone2::cli
