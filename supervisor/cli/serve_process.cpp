// SPDX-License-Identifier: MIT
#include "cli/serve_process.hpp"

#include "base/thread.hpp"
#include "calls/scheduler.hpp"
#include "cli/call_audit.hpp"
#include "cli/descriptors.hpp"
#include "cli/limits.hpp"
#include "cli/messages.hpp"
#include "cli/own_failure.hpp"
#include "cli/program.hpp"
#include "cli/program_owner.hpp"
#include "cli/provider.hpp"
#include "cli/signals.hpp"
#include "cli/title.hpp"

#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <exception>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

namespace clone2::cli
{

namespace
{

/// The serving process's connection to the command.
class CommandLink
{
public:
    CommandLink(EventLoop &loop, Fd socket, CallAudit &audit, bool keep_stderr)
        : socket_(std::make_shared<Fd>(std::move(socket))), watch_(loop.watch(socket_->get())),
          audit_(audit), keep_stderr_(keep_stderr)
    {
        wait();
    }

private:
    void wait()
    {
        watch_->wait_readable([this] { on_readable(); });
    }

    void on_readable()
    {
        const std::optional<char> request = receive_value<char>(*socket_);
        if (!request) {
            // The command has ended. Readers of its stderr must not have to wait for us.
            if (!keep_stderr_) {
                audit_.finish([] { close_standard(STDERR_FILENO); });
            }
            return;
        }
        audit_.finish([socket = socket_] { send_value(*socket, finish_request); });
        wait();
    }

    std::shared_ptr<Fd> socket_;
    std::unique_ptr<EventLoop::Watch> watch_;
    CallAudit &audit_;
    bool keep_stderr_;
};

/// On SIGHUP, from the command or any other sender: reopens the log and reads the policy again.
class Hangup
{
public:
    Hangup(EventLoop &loop, CallAudit &audit, agent::PolicyHolder &policy, Diagnostics &diagnostics)
        : fd_(open()), audit_(audit), policy_(policy), diagnostics_(diagnostics)
    {
        watch_ = loop.watch(fd_.get());
        wait();
    }

private:
    static Fd open()
    {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGHUP);
        return open_signals(set);
    }

    void wait()
    {
        watch_->wait_readable([this] {
            signalfd_siginfo info{};
            while (::read(fd_.get(), &info, sizeof info) == sizeof info) {
                audit_.reopen();
                if (policy_.current()) {
                    policy_.reload(diagnostics_);
                }
            }
            wait();
        });
    }

    Fd fd_;
    std::unique_ptr<EventLoop::Watch> watch_;
    CallAudit &audit_;
    agent::PolicyHolder &policy_;
    Diagnostics &diagnostics_;
};

void tell_of_stepping_aside(const Options &options, Diagnostics &diagnostics)
{
    diagnostics.info("the kernel has clone2 itself: number " + options.calls.text() +
                     " is left to the kernel");
    if (options.log || options.stats) {
        diagnostics.warn("the kernel's own clone2 makes the calls: --log and --stats do not see "
                         "them (use --provider=supervisor)");
    }
}

/// Continues the reaper whenever it is stopped, and reaps it. So its usage, which includes
/// PROGRAM's, is added to ours, and with ours to the command's. Waits for this pid only, so it
/// takes no tracee's stop.
void attend(pid_t reaper)
{
    siginfo_t info{};
    do {
        info = {};
        if (::waitid(P_PID, static_cast<id_t>(reaper), &info, WSTOPPED | WEXITED) == 0 &&
            info.si_code == CLD_STOPPED) {
            wake_reaper(reaper);
        }
    } while (info.si_code == CLD_STOPPED || errno == EINTR);
    // If it was killed, we have inherited its children: the kernel reaps them.
    std::signal(SIGCHLD, SIG_IGN);
}

/// A descriptor to be closed for the listener. The kernel drops a listener that no descriptor is
/// free for.
Fd place_for_listener(const Fd &any)
{
    Fd place{::fcntl(any.get(), F_DUPFD_CLOEXEC, 0)};
    if (!place) {
        throw std::system_error(errno, std::generic_category(), "fcntl(F_DUPFD)");
    }
    return place;
}

/// Runs the loop while the process lives.
void run_until_end_of(const Fd &pidfd, EventLoop &loop)
{
    const std::unique_ptr<EventLoop::Watch> watch = loop.watch(pidfd.get());
    watch->wait_readable([&loop] { loop.stop(); });
    while (loop.run_one()) {
    }
}

} // namespace

int serve(const Options &options, uid_t user, bool kernel_serves, bool filtered, Fd program,
          Fd command, LogFile log, std::unique_ptr<agent::PolicyHolder> policy_read, pid_t reaper)
{
    set_title("clone2-serve");
    // A log written to a pipe without a reader loses lines and must not kill us.
    std::signal(SIGPIPE, SIG_IGN);
    std::optional<QueuedDiagnostics> messages;
    // Not joined after a failure: PROGRAM's process, and so the reaper, still waits for our answer.
    std::optional<Thread> attendant;
    bool may_run_unserved = options.optional; // until PROGRAM has its filter
    try {
        // Ends before the messages: its thread may have one.
        const std::unique_ptr<agent::PolicyHolder> policy = std::move(policy_read);
        close_standard(STDIN_FILENO);
        close_standard(STDOUT_FILENO);
        close_others({program.get(), command.get(), log.fd.get()});
        QueuedDiagnostics &diagnostics = messages.emplace(options.verbosity);
        (void)!::chdir("/"); // don't keep a file system busy
        raise_limits();
        const Fd reaper_end{static_cast<int>(::syscall(SYS_pidfd_open, reaper, 0))};
        attendant.emplace([reaper] { attend(reaper); });
        const auto procfs = std::make_shared<const Procfs>();
        CallAudit audit(options, std::move(log), diagnostics);
        CallHandler handler(procfs, diagnostics,
                            kernel_serves ? std::optional(standard_call) : std::nullopt);
        const std::unique_ptr<EventLoop> loop = make_event_loop(options.loop);
        const Hangup hangup(*loop, audit, *policy, diagnostics);
        const CommandLink link(*loop, std::move(command), audit, options.log == "-");
        const CallTable trapped = trapped_calls(options, kernel_serves);
        ListenerOffer offer;
        std::optional<Fd> listener; // nullopt: PROGRAM's process has ended, and reported why
        Fd place = place_for_listener(program);
        const auto take_offer = [&] {
            send_value(program, Service::ready);
            place.reset();
            listener = receive_message(program, std::as_writable_bytes(std::span(&offer, 1)));
            // Not earlier: PROGRAM had to be created in the terminal's session.
            ::setsid();
            return listener.has_value();
        };
        if (!filtered) {
            if (trapped.calls().empty()) {
                tell_of_stepping_aside(options, diagnostics);
            }
            if (!take_offer() || !send_value(program, Service::ready)) {
                return own_failure;
            }
            program.reset();
            if (reaper_end) { // pidfd_open exists since 5.3
                run_until_end_of(reaper_end, *loop);
            }
            attendant.reset();
            audit.finish();
            return 0;
        }
        const agent::JudgedOwner::Shared shared{audit,  diagnostics, *policy,
                                                procfs, trapped,     audit.self_served()};
        Mistakes mistakes(watched_calls(options, kernel_serves), options.calls, diagnostics,
                          procfs);
        Scheduler scheduler(*loop, handler, diagnostics);
        const auto owner =
            std::make_shared<ProgramOwner>(shared, user, options.injections, mistakes);
        scheduler.run(Scheduler::Until::no_listener, [&] {
            if (!take_offer()) {
                return;
            }
            if (offer.failure.err != 0) {
                throw_exception_from_error(offer.failure, BOOST_CURRENT_LOCATION);
            }
            may_run_unserved = false;
            scheduler.add_listener(
                std::make_unique<Listener>(std::move(*listener), offer.wait_killable), owner);
            diagnostics.info(std::string("serving with ") + loop->name() + ", nesting level " +
                             std::to_string(handler.namespaces().own_level()) +
                             (kernel_serves ? ", calls passed to the kernel's own clone2" : "") +
                             (offer.no_new_privs ? ", no-new-privs set" : "") +
                             (offer.wait_killable ? "" : ", without WAIT_KILLABLE_RECV"));
            send_value(program, Service::ready);
            program.reset();
        });
        if (!listener) {
            return own_failure;
        }
        attendant.reset(); // the reaper ends with its last child
        audit.finish();
    } catch (const std::exception &error) {
        messages.reset(); // flushes
        if (!may_run_unserved) {
            if (program) {
                send_value(program, Service::failed);
            }
            fail(reason_of(error));
        }
        tell_of_no_service(options, reason_of(error));
        ::close(STDERR_FILENO);
        send_value(program, Service::none);
        command.reset();
        (void)receive_value<char>(program); // until PROGRAM is executed
        ::setsid();
        log = {};
        if (attendant) {
            attendant.reset();
        } else {
            attend(reaper);
        }
    }
    return 0;
}

} // namespace clone2::cli
