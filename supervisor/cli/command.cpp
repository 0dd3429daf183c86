// SPDX-License-Identifier: MIT
#include "cli/command.hpp"

#include "base/diagnostics.hpp"
#include "base/kernel_clone2.hpp"
#include "cli/call_audit.hpp"
#include "cli/program.hpp"
#include "cli/reaper.hpp"
#include "cli/serving.hpp"
#include "cli/wire.hpp"
#include "listener/filter.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

namespace clone2::cli
{

namespace
{

constexpr int finish_timeout_ms = 5000;

std::string reason()
{
    return std::strerror(errno);
}

/// Does what the signal does by default.
void take_signal(int signal)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    std::signal(signal, SIG_DFL);
    ::raise(signal);
    ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

/// Whether the terminal has sent this signal to the whole process group, so that PROGRAM has it
/// already. A hangup is for the session's leader alone: where that is us, it was meant for
/// PROGRAM. Other signals of the kernel are our own: an alarm set before exec.
bool is_for_the_group(const signalfd_siginfo &info)
{
    if (info.ssi_code != SI_KERNEL) {
        return false;
    }
    switch (static_cast<int>(info.ssi_signo)) {
    case SIGINT:
    case SIGQUIT:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
    case SIGWINCH:
        return true;
    case SIGHUP:
    case SIGCONT:
        return ::getsid(0) != ::getpid();
    default:
        return false;
    }
}

/// While one of these lives, news of PROGRAM continues us as a SIGCONT does.
class WokenByNews
{
public:
    explicit WokenByNews(const Fd &reaper) : reaper_(reaper)
    {
        ::fcntl(reaper_.get(), F_SETOWN, ::getpid());
        ::fcntl(reaper_.get(), F_SETSIG, SIGCONT);
        ::fcntl(reaper_.get(), F_SETFL, O_ASYNC);
    }
    ~WokenByNews() { ::fcntl(reaper_.get(), F_SETFL, 0); }
    WokenByNews(const WokenByNews &) = delete;
    WokenByNews &operator=(const WokenByNews &) = delete;

    static bool sent(const signalfd_siginfo &info)
    {
        return info.ssi_signo == SIGCONT && (info.ssi_code == POLL_IN || info.ssi_code == POLL_HUP);
    }

private:
    const Fd &reaper_;
};

/// Stops as PROGRAM has, until a SIGCONT or news of PROGRAM.
void stop_as_program(int signal, const Fd &reaper)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    std::signal(signal, SIG_DFL);
    // Blocked, the stop is but pending: whatever SIGCONT comes from here on takes it back.
    // SIGSTOP can't be blocked; for news just then see the reaper, which repeats it.
    if (signal != SIGSTOP) {
        ::raise(signal);
    }
    const WokenByNews woken(reaper);
    pollfd polled{reaper.get(), POLLIN, 0};
    if (::poll(&polled, 1, 0) != 0) {
        const timespec now{};
        ::sigtimedwait(&set, nullptr, &now);
    } else if (signal == SIGSTOP) {
        ::raise(signal);
    } else {
        ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
        ::sigprocmask(SIG_BLOCK, &set, nullptr);
    }
}

/// Hands on what was sent to us.
void forward_signals(const Fd &signals, const Fd &reaper, unsigned stops)
{
    signalfd_siginfo info{};
    while (::read(signals.get(), &info, sizeof info) == sizeof info) {
        const auto signal = static_cast<int>(info.ssi_signo);
        if (signal != SIGCHLD && !is_for_the_group(info) && !WokenByNews::sent(info)) {
            send_value(reaper, ForwardedSignal{signal, stops});
        }
    }
}

/// Until PROGRAM has ended. nullopt: nobody is left to tell how.
std::optional<ProgramStatus> wait_for_program(const Fd &reaper)
{
    const sigset_t set = forwarded_signals();
    const Fd signals{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
    for (unsigned stops = 0;;) {
        std::array<pollfd, 2> polled{{{signals.get(), POLLIN, 0}, {reaper.get(), POLLIN, 0}}};
        if (::poll(polled.data(), polled.size(), -1) < 0) {
            continue;
        }
        if (polled[0].revents != 0) {
            forward_signals(signals, reaper, stops);
        }
        if (polled[1].revents == 0) {
            continue;
        }
        const std::optional<ProgramStatus> status = receive_value<ProgramStatus>(reaper);
        if (!status || status->kind == ProgramStatus::Kind::exited ||
            status->kind == ProgramStatus::Kind::killed) {
            return status;
        }
        if (status->kind == ProgramStatus::Kind::stopped) {
            ++stops;
            stop_as_program(status->value, reaper);
        }
    }
}

int end_as(const std::optional<ProgramStatus> &status, const Options &options)
{
    if (!status) {
        Diagnostics::print("clone2-supervise: PROGRAM's status is lost: its parent was killed\n");
        return own_failure;
    }
    if (status->kind == ProgramStatus::Kind::exited) {
        return status->value;
    }
    if (options.exit_status == ExitStatus::signal) {
        // PROGRAM has dumped core if it was to; a second one would be of the wrong process.
        const rlimit none{0, 0};
        ::setrlimit(RLIMIT_CORE, &none);
        ::prctl(PR_SET_DUMPABLE, 0);
        take_signal(status->value);
    }
    return 128 + status->value;
}

/// Whether the kernel's own clone2 is to be used. Fails where it was asked for and is not there.
bool kernel_makes_calls(Provider provider)
{
    if (provider == Provider::supervisor) {
        return false;
    }
    const KernelClone2 found = probe_kernel_clone2();
    if (provider == Provider::kernel && found == KernelClone2::absent) {
        fail("--provider=kernel: this kernel has no clone2 (system call " +
             std::to_string(clone2_nr) + ")");
    }
    // Behind a filter it may be another supervisor that answers: not for us to decide.
    return provider == Provider::kernel || found == KernelClone2::present;
}

} // namespace

int run_command(const Options &options)
{
    const bool kernel_serves = kernel_makes_calls(options.provider);
    std::vector<sock_filter> filter;
    if (!kernel_serves || options.nr != clone2_nr) {
        Result<std::vector<sock_filter>> built = build_filter(options.nr);
        if (!built) {
            fail(built.error().to_string());
        }
        filter = std::move(*built);
    }
    Fd log = open_log(options);
    auto [command_end, serving_end] = make_socket_pair();
    auto [listener_end, program_socket] = make_socket_pair();
    auto [status_end, reaper_end] = make_socket_pair();
    Fd program_end = std::move(program_socket); // for a lambda: a binding can't be captured
    const InheritedSignals inherited = take_over_signals();

    const pid_t serving = ::fork();
    if (serving < 0) {
        fail("fork: " + reason());
    }
    if (serving == 0) {
        command_end.reset();
        status_end.reset();
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
        const pid_t reaper = ::fork();
        if (reaper < 0) {
            fail("fork: " + reason());
        }
        if (reaper == 0) {
            serving_end.reset();
            listener_end.reset();
            log.reset();
            reap(options.pidns_depth, std::move(reaper_end),
                 [&] { run_program(options.program, filter, program_end, inherited); });
        }
        reaper_end.reset();
        program_end.reset();
        ::_exit(serve(options, kernel_serves, std::move(listener_end), std::move(serving_end),
                      std::move(log), reaper));
    }
    log.reset();
    serving_end.reset();
    listener_end.reset();
    program_end.reset();
    reaper_end.reset();

    // Who reads what PROGRAM writes sees its end as soon as PROGRAM closes it.
    close_standard(STDIN_FILENO);
    close_standard(STDOUT_FILENO);
    close_others({command_end.get(), status_end.get()});

    const std::optional<ProgramStatus> status = wait_for_program(status_end);
    if (options.wait_all) {
        // Signals are no longer for PROGRAM, so they work on us; what ends the wait is the end
        // of the serving process.
        restore_signals(inherited);
        while (receive_value<char>(command_end)) {
        }
    } else if (options.stats && send_value(command_end, finish_request)) {
        pollfd polled{command_end.get(), POLLIN, 0};
        (void)::poll(&polled, 1, finish_timeout_ms);
    }
    if (status && status->alone) {
        // Then the serving process ends now: wait for it, so that it does not stay a zombie
        // where nobody reaps orphans.
        command_end.reset();
        (void)::waitpid(serving, nullptr, 0);
    }
    return end_as(status, options);
}

} // namespace clone2::cli
