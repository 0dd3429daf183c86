// SPDX-License-Identifier: MIT
#pragma once

#include "audit/log.hpp"
#include "base/diagnostics.hpp"
#include "base/kernel_clone2.hpp"
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

constexpr int default_nr = clone2_nr;
constexpr unsigned max_pidns_depth = 32;

/// How PROGRAM's death by a signal is passed on.
enum class ExitStatus { signal, code128 };

/// Who makes the calls.
enum class Provider {
    automatic,  ///< the kernel where it has clone2, else the supervisor
    supervisor, ///< the supervisor, by clone3
    kernel      ///< the kernel's own clone2, or nobody
};

/// What all peers of an agent together may use.
struct BudgetTotals {
    std::uint64_t listeners = 8192;
    std::uint64_t calls = 1024;    ///< under way at once
    std::uint64_t descriptors = 0; ///< 0: what the limit of open files leaves
    std::uint64_t memory = 256;    ///< MiB
};

/// The command line, decoded.
struct Options {
    int nr = default_nr;
    unsigned pidns_depth = 0; ///< 0: none
    std::optional<std::string> log;
    LogFormat log_format = LogFormat::text;
    Verbosity verbosity = Verbosity::normal;
    bool stats = false;
    bool wait_all = false;
    ExitStatus exit_status = ExitStatus::signal;
    LoopChoice loop = LoopChoice::automatic;
    Provider provider = Provider::automatic;
    std::vector<std::string> program;
    /// The agent: no program, but the listeners that come to this socket.
    std::optional<std::string> listen;
    std::vector<uid_t> allowed_uids;
    std::optional<std::string> policy;
    BudgetTotals budget;
};

/// Other things to do than running a program.
struct ShowHelp {
};
struct ShowVersion {
};
struct Check {
    int nr = default_nr;
    std::optional<std::string> feature;
    LoopChoice loop = LoopChoice::automatic;
    std::optional<std::string> listen; ///< where an agent may be
};
struct PrintBpf {
    int nr = default_nr;
    bool base64 = false;
};
struct UsageError {
    std::string message;
};

using Command = std::variant<Options, ShowHelp, ShowVersion, Check, PrintBpf, UsageError>;

/// Options stop at the first non-option or "--". Pure.
[[nodiscard]] Command parse(std::span<const std::string> arguments);

/// What the command is asked to do, as a set of bits. Of several the highest counts.
enum Mode : unsigned {
    running = 1,   ///< PROGRAM
    listening = 2, ///< --listen
    checking = 4,  ///< --check
    printing = 8,  ///< --print-bpf
    any_mode = 15
};

/// What all options together ask for.
struct Asked;

/// One option, and all there is to know about it: --help, the manual page and parse() read these.
struct Option {
    char short_name; ///< 0: none
    const char *long_name;
    const char *argument; ///< nullptr: none; "[=DEPTH]" style where optional
    unsigned modes;       ///< in which it has an effect; in others it is an error
    /// Takes the option into `asked`. Returns nullptr, or what the value should have been.
    const char *(*take)(const Option &option, const std::optional<std::string> &value,
                        Asked &asked);
    const char *text;
    Mode selects = running; ///< what the command does because of it
    /// Sees all that is asked for: completes it, or returns why the option does not go with it.
    std::string (*settle)(Asked &asked) = nullptr;
};
[[nodiscard]] std::span<const Option> all_options();

/// As it is typed: "-n, --nr N".
[[nodiscard]] std::string spelled(const Option &option);
/// What may stand behind the command's name, one line for each mode.
[[nodiscard]] std::vector<std::string> usage();

/// An exit status of the command and its meaning.
struct ExitText {
    const char *status;
    const char *text;
};
[[nodiscard]] std::span<const ExitText> exit_texts();

/// What --help prints.
[[nodiscard]] std::string help_text();

} // namespace clone2::cli
