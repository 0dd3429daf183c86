// SPDX-License-Identifier: MIT
#include "cli/job.hpp"

#include "base/procfs.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>

namespace clone2::cli
{

namespace
{

/// Whether the kernel has also sent this signal to PROGRAM. The terminal's signals go to the whole
/// process group. A hangup goes to the session leader alone; if that is us, it was meant for
/// PROGRAM. The kernel's other signals are ours: an alarm set before exec.
bool is_for_the_group(const SentSignal &signal)
{
    if (!signal.is_of_kernel()) {
        return false;
    }
    switch (signal.number) {
    case SIGINT:
    case SIGQUIT:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
    case SIGWINCH:
    case SIGXCPU: // our own CPU time limit: PROGRAM has the same one
        return true;
    case SIGHUP:
    case SIGCONT:
        return ::getsid(0) != ::getpid();
    default:
        return false;
    }
}

/// Whether there is a message, or the reaper is gone. When it dies, its end of the bell is closed
/// before that of the messages: so the bell may have rung already, and there is no message yet.
bool has_news(const ReaperLink &reaper)
{
    std::array<pollfd, 2> polled{
        {{reaper.messages.get(), POLLIN, 0}, {reaper.bell.get(), 0, 0}}}; // 0: only a hang-up
    return ::poll(polled.data(), polled.size(), 0) != 0;
}

/// Whether a SIGCONT is pending, according to the process's /proc/PID/status. False if unreadable.
bool is_continued(const Fd &status)
{
    std::string text(65536, '\0'); // its list of groups may be long
    const ssize_t n = ::pread(status.get(), text.data(), text.size(), 0);
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    const std::string pending = status_value(text, "ShdPnd").value_or("");
    return (std::strtoull(pending.c_str(), nullptr, 16) >> (SIGCONT - 1) & 1) != 0;
}

} // namespace

Job::Job(ReaperLink reaper)
    : reaper_(std::move(reaper)), signals_(open_signals(forwarded_signals()))
{
    const int bell = reaper_.bell.get();
    if (::fcntl(bell, F_SETOWN, ::getpid()) != 0 || ::fcntl(bell, F_SETSIG, SIGCONT) != 0 ||
        ::fcntl(bell, F_SETFL, O_ASYNC) != 0) {
        throw std::system_error(errno, std::generic_category(), "fcntl()");
    }
}

std::vector<int> Job::fds() const
{
    return {reaper_.messages.get(), reaper_.bell.get(), signals_.get()};
}

std::optional<ProgramStatus> Job::wait(pid_t server)
{
    server_ = server;
    for (;;) {
        std::array<pollfd, 2> polled{
            {{signals_.get(), POLLIN, 0}, {reaper_.messages.get(), POLLIN, 0}}};
        if (::poll(polled.data(), polled.size(), -1) < 0) {
            continue;
        }
        // Before the message, because a SIGCONT that came before a stop does not end that stop.
        forward_signals();
        if (polled[1].revents == 0) {
            continue;
        }
        const std::optional<ProgramStatus> status = receive_value<ProgramStatus>(reaper_.messages);
        if (!status) {
            return std::nullopt;
        }
        switch (status->kind) {
        case ProgramStatus::Kind::stopped:
            ++stops_;
            stop_signal_ = status->value;
            ask();
            break;
        case ProgramStatus::Kind::still_stopped:
            if (status->value == question_) {
                stop();
            }
            break;
        case ProgramStatus::Kind::continued: {
            stop_signal_ = 0;
            char ring = 0;
            while (::recv(reaper_.bell.get(), &ring, sizeof ring, MSG_DONTWAIT) > 0) {
            }
            break;
        }
        case ProgramStatus::Kind::asked_for_signals:
            forward_signals();
            send_value(
                reaper_.messages,
                ForwardedSignal{ForwardedSignal::Kind::no_more, {}, status->value, 0, false});
            break;
        case ProgramStatus::Kind::exited:
        case ProgramStatus::Kind::killed:
            return status;
        }
    }
}

bool Job::is_for_program(const SentSignal &signal) const
{
    const bool bell =
        signal.number == SIGCONT && (signal.code == POLL_IN || signal.code == POLL_HUP);
    const bool helper = signal.number == SIGCONT && signal.code == SI_USER && helper_ > 0 &&
                        signal.pid == static_cast<std::uint32_t>(helper_);
    // For example SIGPIPE from writing to our own standard error.
    const bool own = signal.code == SI_USER && signal.pid == static_cast<std::uint32_t>(::getpid());
    return !bell && !helper && !own && !is_for_the_group(signal);
}

void Job::forward_signals()
{
    bool look = false;
    std::vector<SentSignal> for_program;
    while (const std::optional<SentSignal> signal = read_signal(signals_)) {
        if (signal->number == SIGHUP) {
            ::kill(server_, SIGHUP);
        }
        if (is_for_program(*signal)) {
            for_program.push_back(*signal);
        }
        // A stopping signal may have discarded a pending SIGCONT.
        look = look || signal->number == SIGCONT || is_stop(signal->number);
    }
    if (!for_program.empty()) {
        wait_for_the_group(); // then the reaper has received them, too
    }
    for (const SentSignal &signal : for_program) {
        send_value(reaper_.messages, ForwardedSignal{ForwardedSignal::Kind::signal, signal, 0,
                                                     stops_, stop_signal_ == 0});
    }
    helper_ = 0;
    // Something continued us. If PROGRAM is still stopped, we must stop again.
    if (look && stop_signal_ != 0) {
        ask();
    }
}

/// Asks the reaper whether PROGRAM is still stopped. Answers to earlier questions no longer count.
void Job::ask()
{
    ++question_;
    send_value(reaper_.messages,
               ForwardedSignal{ForwardedSignal::Kind::do_stops_last, {}, question_, stops_, false});
}

/// Stops us the way PROGRAM was stopped. Returns after a SIGCONT, after news, or at once if nothing
/// can stop us (an init of a namespace, an orphaned process group).
///
/// A stopping signal discards a pending SIGCONT, including the bell of news that came just before.
/// So the stopping signal is made pending first, and then we look for news: a SIGCONT that comes
/// after that, from the bell or elsewhere, discards the stop.
void Job::stop()
{
    const int question = question_;
    forward_signals();
    if (question != question_) {
        return;
    }
    if (stop_signal_ == SIGSTOP) {
        stop_by_helper();
        return;
    }
    const int signal = stop_signal_;
    ::kill(::getpid(), signal);
    if (has_news(reaper_)) {
        ::kill(::getpid(), SIGCONT);
        helper_ = ::getpid();
        return;
    }
    struct sigaction standard {
    };
    struct sigaction inherited {
    };
    standard.sa_handler = SIG_DFL;
    ::sigaction(signal, &standard, &inherited);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    ::sigaction(signal, &inherited, nullptr);
}

/// SIGSTOP can't be blocked, but a process that waits for its vfork child does not act on it. So a
/// child sends SIGSTOP and then looks for news. The child has a new session, because signals that
/// stop the job must not stop it. It checks for a SIGCONT sent to us alone just before it sends
/// SIGSTOP.
void Job::stop_by_helper()
{
    // With SIGCHLD ignored, the child does not remain a zombie while we are stopped.
    struct sigaction action {
    };
    action.sa_handler = SIG_IGN;
    ::sigaction(SIGCHLD, &action, nullptr);
    const Fd status{::open("/proc/self/status", O_RDONLY | O_CLOEXEC)};
    const pid_t self = ::getpid();
    const long helper =
        ::syscall(SYS_clone, CLONE_VFORK | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (helper == 0) {
        ::setsid();
        if (is_continued(status)) {
            ::_exit(0);
        }
        ::kill(self, SIGSTOP);
        if (has_news(reaper_)) {
            ::kill(self, SIGCONT);
        }
        ::_exit(0);
    }
    if (helper > 0) {
        helper_ = static_cast<pid_t>(helper);
        while (::waitpid(helper_, nullptr, __WALL) < 0 && errno == EINTR) {
        }
    } else if (!is_continued(status) && !has_news(reaper_)) {
        ::raise(SIGSTOP); // fork failed: stop anyway; a SIGCONT just before this is lost
    }
    action.sa_handler = SIG_DFL;
    ::sigaction(SIGCHLD, &action, nullptr);
}

} // namespace clone2::cli
