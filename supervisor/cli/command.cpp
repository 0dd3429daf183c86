// SPDX-License-Identifier: MIT
#include "cli/command.hpp"

#include "base/diagnostics.hpp"
#include "cli/call_audit.hpp"
#include "cli/check_sandbox.hpp"
#include "cli/core_dump.hpp"
#include "cli/descriptors.hpp"
#include "cli/job.hpp"
#include "cli/lifelines.hpp"
#include "cli/messages.hpp"
#include "cli/needed_calls.hpp"
#include "cli/own_failure.hpp"
#include "cli/pid_namespace.hpp"
#include "cli/preload.hpp"
#include "cli/program.hpp"
#include "cli/provider.hpp"
#include "cli/reaper.hpp"
#include "cli/serve_process.hpp"
#include "filter/filter.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <exception>
#include <memory>
#include <utility>

namespace clone2::cli
{

namespace
{

constexpr int finish_timeout_ms = 5000;

/// Waits for the end of the serving process, which is due. False: it has not come in good time,
/// because a target has a parent that is not below us (in a pid namespace that it has joined).
bool ends_soon(const Fd &serving)
{
    pollfd polled{serving.get(), POLLIN, 0};
    while (::poll(&polled, 1, finish_timeout_ms) == 1) {
        if (!receive_value<char>(serving)) {
            return true;
        }
    }
    return false;
}

/// Takes the signal's default action.
void take_signal(int signal)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    std::signal(signal, SIG_DFL);
    ::raise(signal);
    ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

int end_as(const std::optional<ProgramStatus> &status, const Options &options)
{
    if (!status) {
        Diagnostics::line("PROGRAM's exit status is lost: its parent was killed");
        return own_failure;
    }
    if (status->kind == ProgramStatus::Kind::exited) {
        return status->value;
    }
    if (options.exit_status == ExitStatus::signal) {
        if (!status->dumped_core || !dump_hidden_core()) {
            dump_no_core();
        }
        take_signal(status->value);
    }
    return 128 + status->value;
}

/// Whether PROGRAM must not run in the place of the wrapper.
bool needs_wrapper(const Options &options)
{
    return options.pidns_depth > 0 || options.die_with_parent || options.wait_all ||
           options.exit_status == ExitStatus::code128;
}

/// Becomes PROGRAM.
[[noreturn]] void run_alone(const Options &options, const std::optional<Preload> &preload,
                            const struct sigaction &sigxfsz)
{
    if (preload && !set_preload(*preload)) {
        fail("--preload: no memory for the environment");
    }
    ::sigaction(SIGXFSZ, &sigxfsz, nullptr);
    execute(options);
}

} // namespace

int run_command(const Options &options, const struct sigaction &sigxfsz)
{
    // As early as possible: a parent that dies before this is not noticed.
    Lifelines lifelines = options.die_with_parent ? Lifelines::of_this_process() : Lifelines();
    const bool kernel_serves = kernel_makes_calls(options.provider);
    const CallTable trapped = trapped_calls(options, kernel_serves);
    std::vector<sock_filter> filter; // empty: the kernel makes all calls, or nobody
    if (!trapped.calls().empty()) {
        filter = build_filter(trapped, watched_calls(options, kernel_serves));
    }
    const auto preload = options.preload ? prepare_preload(trapped) : std::nullopt;
    if (preload) {
        Diagnostics(options.verbosity)
            .info("preloading " + preload->library + " for number " +
                  std::to_string(preload->number));
    }
    Result<void> needed = try_room_for_descriptors();
    if (needed) {
        needed = try_needed_calls();
    }
    if (needed && options.optional) {
        needed = try_event_loop(options.loop);
    }
    if (needed && options.optional) {
        needed = try_resources();
    }
    if (!needed) {
        if (!options.optional || needs_wrapper(options)) {
            fail(reason_of(needed.error()));
        }
        tell_of_no_service(options, needed.error().to_string());
        run_alone(options, preload, sigxfsz);
    }
    if (const std::string refusal = kernel_serves ? "" : clone3_refusal(); !refusal.empty()) {
        if (!options.optional) {
            fail(refusal + ": no clone2 for PROGRAM");
        }
        tell_of_no_service(options, refusal);
        filter.clear();
    }
    if (options.optional && !filter.empty()) {
        if (const Error failure = probe_listener(filter).failure; failure.err != 0) {
            tell_of_no_service(options, failure.to_string());
            filter.clear();
        }
    }
    // Reading a file may take long. Signals still end us: they are not taken over yet.
    auto policy = std::make_unique<agent::PolicyHolder>(
        options.policy ? from_anywhere(*options.policy) : "", true);
    const OwnRanges ranges = options.map_auto ? own_ranges() : OwnRanges();
    LogFile log = open_log(options);
    auto [command_end, serving_end] = make_socket_pair();
    auto [listener_end, program_socket] = make_socket_pair();
    auto [status_end, reaper_end] = make_socket_pair();
    auto [bell_end, reaper_bell] = make_socket_pair();
    ReaperLink to_command{std::move(reaper_end), std::move(reaper_bell), {}};
    Fd program_end = std::move(program_socket); // a lambda can't capture a structured binding
    const InheritedSignals inherited = take_over_signals(sigxfsz);
    const RefusedNumbers refused = filter.empty() ? RefusedNumbers() : refused_numbers(trapped);
    for (const std::string &refusal : refused.why) {
        if (options.require) {
            fail("--require: " + refusal);
        }
        Diagnostics(options.verbosity)
            .warn((!refused.all      ? "PROGRAM has clone2 only by other numbers: "
                   : options.preload ? "PROGRAM has clone2 only from libclone2: "
                                     : "no clone2 for PROGRAM: ") +
                  refusal);
    }
    std::optional<Job> job(std::in_place,
                           ReaperLink{std::move(status_end), std::move(bell_end), {}});

    const uid_t caller = ::geteuid();
    const pid_t command = ::getpid();
    const pid_t serving = ::fork();
    if (serving < 0) {
        fail("fork: " + reason());
    }
    if (serving == 0) {
        command_end.reset();
        job.reset();
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
        bool user_namespace = false;
        try {
            user_namespace = enter_shared_user_namespace(options, {ranges, inherited, to_command});
        } catch (const std::exception &error) {
            fail_for(to_command.messages, error);
        }
        const pid_t reaper = ::fork();
        if (reaper < 0) {
            fail_for(to_command.messages, "fork: " + reason());
        }
        if (reaper == 0) {
            serving_end.reset();
            listener_end.reset();
            log = {};
            reap(options, std::move(to_command), std::move(lifelines), user_namespace, ranges,
                 inherited,
                 [&] { run_program(options, filter, preload, program_end, inherited, command); });
        }
        to_command = {};
        program_end.reset();
        ::_exit(serve(options, caller, kernel_serves, !filter.empty(), std::move(listener_end),
                      std::move(serving_end), std::move(log), std::move(policy), reaper));
    }
    log = {};
    serving_end.reset();
    listener_end.reset();
    program_end.reset();
    to_command = {};
    lifelines = {};

    // So that readers of PROGRAM's output see its end as soon as PROGRAM closes it.
    close_standard(STDIN_FILENO);
    close_standard(STDOUT_FILENO);
    std::vector<int> kept = job->fds();
    kept.push_back(command_end.get());
    close_others(kept);

    const std::optional<ProgramStatus> status = job->wait(serving);
    job.reset();
    if (options.wait_all) {
        // Signals are no longer forwarded to PROGRAM, so they act on us; the end of the serving
        // process ends the wait.
        restore_signals(inherited);
        std::signal(SIGCHLD, SIG_DFL); // the kernel forgets the usage of what it reaps itself
        while (receive_value<char>(command_end)) {
        }
    } else if (options.stats && send_value(command_end, finish_request)) {
        pollfd polled{command_end.get(), POLLIN, 0};
        (void)::poll(&polled, 1, finish_timeout_ms);
    }
    if (options.wait_all || (status && status->alone && ends_soon(command_end))) {
        // Reap the serving process: it has reaped the reaper, and that has reaped PROGRAM, so what
        // our caller's wait4(2) reports as our usage includes PROGRAM's. And it would stay a zombie
        // where nothing reaps orphans. It still has our end of the link: without that it would
        // close its stderr, perhaps before its last message.
        (void)::waitpid(serving, nullptr, 0);
    }
    return end_as(status, options);
}

} // namespace clone2::cli
