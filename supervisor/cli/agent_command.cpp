// SPDX-License-Identifier: MIT
#include "cli/agent_command.hpp"

#include "agent/agent.hpp"
#include "agent/time_limit.hpp"
#include "base/printable.hpp"
#include "base/thread.hpp"
#include "cli/call_audit.hpp"
#include "cli/descriptors.hpp"
#include "cli/limits.hpp"
#include "cli/metrics.hpp"
#include "cli/needed_calls.hpp"
#include "cli/own_failure.hpp"
#include "cli/provider.hpp"
#include "cli/signals.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <initializer_list>
#include <malloc.h>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

namespace clone2::cli
{

namespace
{

/// How long calls in progress and files may delay the end: a call of a frozen target never
/// completes.
constexpr std::chrono::seconds time_to_drain{3};

/// Blocks these signals for signalfd, or unblocks them.
sigset_t set_blocked(int how, std::initializer_list<int> signals)
{
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : signals) {
        sigaddset(&set, signal);
    }
    if (::sigprocmask(how, &set, nullptr) != 0) {
        throw std::system_error(errno, std::generic_category(), "sigprocmask()");
    }
    return set;
}

/// Until Signals reads them from the event loop, SIGTERM and SIGINT end the process at once, even
/// while it waits for a file it needs at start-up: no peer is connected yet, and the next agent
/// removes the socket. SIGHUP and SIGUSR1 stay pending.
void end_by_signals_at_start()
{
    (void)set_blocked(SIG_BLOCK, {SIGHUP, SIGUSR1});
    for (const int signal : {SIGTERM, SIGINT}) {
        std::signal(signal, [](int) { ::_exit(0); });
    }
    (void)set_blocked(SIG_UNBLOCK, {SIGTERM, SIGINT});
}

/// Ends the process, successfully, if draining takes too long. Calls cut off this way end as after
/// a crash: they complete or fail with ENOSYS.
class DrainLimit
{
public:
    DrainLimit(CallAudit &audit, Diagnostics &diagnostics)
        : audit_(audit), diagnostics_(diagnostics), thread_([this] { wait(); })
    {
    }
    DrainLimit(const DrainLimit &) = delete;
    DrainLimit &operator=(const DrainLimit &) = delete;
    ~DrainLimit() { set(done_); }

    void start() { set(started_); }

private:
    void set(bool &flag)
    {
        const std::lock_guard lock(mutex_);
        flag = true;
        wake_.notify_one();
    }

    void wait()
    {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return started_ || done_; });
        if (!wake_.wait_for(lock, time_to_drain, [this] { return done_; })) {
            diagnostics_.warn("a call or a file can't be finished (a frozen process, a file system "
                              "that hangs?); ending without it");
            audit_.finish();
            audit_.flush();
            ::_exit(0);
        }
    }

    CallAudit &audit_;
    Diagnostics &diagnostics_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool started_ = false;
    bool done_ = false;
    /// Runs when the event loop no longer does. Created at the start, because creating it later may
    /// fail.
    const Thread thread_;
};

/// Handles SIGTERM, SIGINT, SIGHUP and SIGUSR1.
class Signals
{
public:
    Signals(EventLoop &loop, Scheduler &scheduler, agent::Agent &agent, CallAudit &audit,
            DrainLimit &limit)
        : scheduler_(scheduler), agent_(agent), audit_(audit), limit_(limit), fd_(open()),
          watch_(loop.watch(fd_.get()))
    {
        wait();
    }

private:
    static Fd open()
    {
        // Existing threads block all signals (HeldSignals); threads created later inherit this.
        return open_signals(set_blocked(SIG_BLOCK, {SIGTERM, SIGINT, SIGHUP, SIGUSR1}));
    }

    void wait()
    {
        watch_->wait_readable([this] { on_readable(); });
    }

    void on_readable()
    {
        signalfd_siginfo info{};
        while (::read(fd_.get(), &info, sizeof info) == sizeof info) {
            if (info.ssi_signo == SIGUSR1) {
                audit_.print();
                continue;
            }
            if (info.ssi_signo == SIGHUP) {
                agent_.reload_policy();
                audit_.reopen();
                continue;
            }
            limit_.start();
            agent_.stop();
            scheduler_.stop();
            return;
        }
        wait();
    }

    Scheduler &scheduler_;
    agent::Agent &agent_;
    CallAudit &audit_;
    DrainLimit &limit_;
    Fd fd_;
    std::unique_ptr<EventLoop::Watch> watch_;
};

/// The call used to pass calls to a kernel that has clone2. nullopt: the kernel has no clone2, or
/// calls arrive under that very number (unless a peer specifies another). Such calls can't be
/// passed on, because the filter that sent them here would send them again.
std::optional<TrappedCall> find_kernel_call(const Options &options)
{
    const bool passed =
        options.calls.without_standard() == options.calls && kernel_makes_calls(options.provider);
    return passed ? std::optional(standard_call) : std::nullopt;
}

agent::ListeningSocket listening_socket(const Options &options,
                                        std::vector<agent::PassedFd> &passed)
{
    const auto found = std::find_if(passed.begin(), passed.end(), [](const auto &one) {
        return agent::is_listening_socket(one.fd.get());
    });
    if (found == passed.end()) {
        return agent::ListeningSocket::bind(*options.listen, !options.allowed_uids.empty());
    }
    Fd socket = std::move(found->fd);
    passed.erase(found);
    return agent::ListeningSocket::passed(std::move(socket));
}

/// The file descriptor limit minus our own use and that of calls in progress.
std::uint64_t descriptors_for_peers()
{
    constexpr std::uint64_t of_calls = 4096;
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        limit.rlim_cur = 1024; // the usual default
    }
    return limit.rlim_cur - std::min<std::uint64_t>(limit.rlim_cur / 4, of_calls);
}

/// How many listeners the service manager can keep, each with a note ($FDSTORE, systemd 254).
std::uint64_t kept_listeners(std::uint64_t otherwise)
{
    const char *const text = std::getenv("FDSTORE");
    const unsigned long long fds = text != nullptr ? std::strtoull(text, nullptr, 10) : 0;
    return fds != 0 ? fds / 2 : otherwise;
}

agent::Ledger::Totals totals(const BudgetTotals &budget)
{
    return {budget.listeners,
            budget.descriptors != 0 ? budget.descriptors : descriptors_for_peers(),
            budget.memory << 20U, kept_listeners(budget.listeners)};
}

int serve_agent(const Options &options, std::vector<agent::PassedFd> passed,
                QueuedDiagnostics &diagnostics)
{
    const auto procfs = std::make_shared<const Procfs>();
    const std::optional<TrappedCall> kernel_call = find_kernel_call(options);
    CallAudit audit(options, open_log(options), diagnostics);
    CallHandler handler(procfs, diagnostics, kernel_call);
    const std::unique_ptr<EventLoop> loop = make_event_loop(options.loop);
    DrainLimit limit(audit, diagnostics);
    Scheduler scheduler(*loop, handler, diagnostics, options.budget.calls);
    agent::ListeningSocket socket = listening_socket(options, passed);
    ucred own{}; // receiving a peer's credentials makes this call
    socklen_t size = sizeof own;
    if (::getsockopt(socket.fd(), SOL_SOCKET, SO_PEERCRED, &own, &size) != 0) {
        throw std::system_error(errno, std::generic_category(), "getsockopt(SO_PEERCRED)");
    }
    agent::Agent agent(*loop, scheduler, diagnostics, audit, procfs,
                       {options.calls.of_all_architectures(), // other filters may trap them
                        {options.allowed_uids.begin(), options.allowed_uids.end()},
                        options.policy.value_or(""),
                        !kernel_call,
                        totals(options.budget),
                        audit.self_served()},
                       std::move(socket));
    std::optional<Metrics> metrics;
    if (options.metrics) {
        metrics.emplace(*options.metrics, diagnostics, [&] {
            return audit.prometheus() +
                   "# HELP clone2_listeners Listeners that are served.\n"
                   "# TYPE clone2_listeners gauge\nclone2_listeners " +
                   std::to_string(scheduler.listener_count()) + "\n";
        });
    }
    // All files are open now: from here on, SIGTERM and SIGINT wait for the event loop.
    const Signals signals(*loop, scheduler, agent, audit, limit);
    agent.restore(std::move(passed));
    agent.start();
    scheduler.run(Scheduler::Until::stopped, [&] {
        diagnostics.info("listening on " + printable(*options.listen) + " with " + loop->name() +
                         (kernel_call ? ", calls passed to the kernel's own clone2" : ""));
    });
    audit.finish();
    return 0;
}

} // namespace

int run_agent(const Options &options)
{
    try {
        end_by_signals_at_start();
        std::vector<agent::PassedFd> passed = agent::take_passed_fds();
        ::prctl(PR_SET_NAME, "clone2-agent");
        agent::TimeLimit::prepare();
        ::mallopt(M_MMAP_THRESHOLD, 128 * 1024); // else large messages leave holes that stay ours
        std::signal(SIGPIPE, SIG_IGN);
        raise_limits();
        for (const auto attempt : {try_room_for_descriptors, try_needed_calls}) {
            if (const Result<void> tried = attempt(); !tried) {
                fail(reason_of(tried.error()));
            }
        }
        close_standard(STDIN_FILENO);
        close_standard(STDOUT_FILENO);
        QueuedDiagnostics diagnostics(options.verbosity);
        return serve_agent(options, std::move(passed), diagnostics);
    } catch (const std::exception &error) {
        fail(reason_of(error));
    }
}

} // namespace clone2::cli
