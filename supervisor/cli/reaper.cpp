// SPDX-License-Identifier: MIT
#include "cli/reaper.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace clone2::cli
{

namespace
{

std::string reason()
{
    return std::strerror(errno);
}

void write_file(const Fd &status, const char *path, const std::string &text)
{
    const Fd file{::open(path, O_WRONLY | O_CLOEXEC)};
    if (!file || ::write(file.get(), text.data(), text.size()) != std::ssize(text)) {
        fail_for(status, std::string(path) + ": " + reason());
    }
}

/// Enters a new mount namespace and, for the children, a new pid namespace; without privilege by
/// way of a new user namespace in which the caller is root.
void enter_namespaces(const Fd &status)
{
    const uid_t uid = ::geteuid();
    const gid_t gid = ::getegid();
    if (::unshare(CLONE_NEWNS | CLONE_NEWPID) != 0) {
        if (errno != EPERM || ::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) != 0) {
            fail_for(status, "--pidns: new namespaces: " + reason() +
                                 " (without privilege, user namespaces have to be allowed)");
        }
        write_file(status, "/proc/self/uid_map", "0 " + std::to_string(uid) + " 1");
        write_file(status, "/proc/self/setgroups", "deny");
        write_file(status, "/proc/self/gid_map", "0 " + std::to_string(gid) + " 1");
    }
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        fail_for(status, "--pidns: making mounts private: " + reason());
    }
}

ProgramStatus decode(int wait_status)
{
    if (WIFSTOPPED(wait_status)) {
        return {ProgramStatus::Kind::stopped, WSTOPSIG(wait_status), false};
    }
    if (WIFCONTINUED(wait_status)) {
        return {ProgramStatus::Kind::continued, SIGCONT, false};
    }
    if (WIFSIGNALED(wait_status)) {
        return {ProgramStatus::Kind::killed, WTERMSIG(wait_status), false};
    }
    return {ProgramStatus::Kind::exited, WEXITSTATUS(wait_status), false};
}

/// Which SIGCONTs that the command hands on PROGRAM is to get. A shell continues a job as a whole,
/// so the one that the command had has reached PROGRAM, too; once more it would undo the next stop
/// (fg, and at once Ctrl-Z), even one that PROGRAM has not come to take yet.
class Stops
{
public:
    void stopped()
    {
        end();
        stopped_ = true;
        continued_by_us_ = false;
        ++count_;
    }
    /// Whether it was known to be stopped.
    bool continued()
    {
        end();
        return std::exchange(stopped_, false);
    }
    /// `stops`: ForwardedSignal::stops. After a SIGCONT from here it does not, told of or not: the
    /// kernel forgets a continuation when PROGRAM ends, long before its end can be waited for.
    [[nodiscard]] bool lasts(unsigned stops) const
    {
        return stopped_ && !continued_by_us_ && stops == count_;
    }
    /// Whether a SIGCONT is to be handed on.
    [[nodiscard]] bool wants(const ForwardedSignal &continuation)
    {
        // Others' comes to the command before the news of what it has done.
        if (continuation.stops < continued_by_others_ ||
            (continuation.stops == continued_by_others_ && !continuation.goes_on)) {
            continued_by_others_ = 0;
            return false;
        }
        continued_by_us_ = stopped_;
        return true;
    }

private:
    void end()
    {
        if (stopped_ && !continued_by_us_) {
            continued_by_others_ = count_;
        }
    }

    bool stopped_ = false;
    unsigned count_ = 0;
    bool continued_by_us_ = false; ///< what ended the last stop, or will
    /// The last stop that others ended, if one SIGCONT that came with that is still to be expected.
    unsigned continued_by_others_ = 0;
};

void tell(const ReaperLink &command, const ProgramStatus &news)
{
    send_value(command.messages, news);
    if (news.kind != ProgramStatus::Kind::stopped &&
        news.kind != ProgramStatus::Kind::still_stopped) {
        const char ring = 0;
        (void)!::send(command.bell.get(), &ring, sizeof ring, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

/// Until no child is left. `child`: the one that signals go to; `command`: may be empty.
[[noreturn]] void reap_until_alone(pid_t child, ReaperLink command)
{
    ::prctl(PR_SET_NAME, "clone2-reap");
    // A session of our own: the terminal's signals are for PROGRAM.
    ::setsid();
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        close_standard(fd);
    }
    close_others({command.messages.get(), command.bell.get()});
    (void)!::chdir("/"); // no file system is kept busy
    sigset_t set = forwarded_signals();
    sigaddset(&set, SIGCHLD);
    const Fd signals{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
    bool child_lives = true;
    Stops stops;
    std::optional<ForwardedSignal> forwarded;
    for (;;) {
        int wait_status = 0;
        pid_t pid = 0;
        std::optional<ProgramStatus> ended;
        while ((pid = ::waitpid(-1, &wait_status, WNOHANG | WUNTRACED | WCONTINUED | __WALL)) > 0) {
            if (pid != child) {
                continue;
            }
            // The command may be gone: then there is nobody to tell.
            const ProgramStatus news = decode(wait_status);
            if (news.kind == ProgramStatus::Kind::stopped) {
                stops.stopped();
                tell(command, news);
            } else if (news.kind != ProgramStatus::Kind::continued) {
                child_lives = false;
                ended = news;
            } else if (stops.continued()) {
                tell(command, news);
            }
        }
        const bool alone = pid < 0 && errno == ECHILD;
        if (forwarded && child_lives) {
            if (forwarded->number < 0) {
                if (stops.lasts(forwarded->stops)) {
                    tell(command, {ProgramStatus::Kind::still_stopped, -forwarded->number, false});
                }
            } else if (forwarded->number != SIGCONT || stops.wants(*forwarded)) {
                ::kill(child, forwarded->number);
            }
        }
        forwarded.reset();
        if (ended && command.messages) {
            ended->alone = alone;
            tell(command, *ended);
            command = {};
        }
        if (alone) {
            ::_exit(0);
        }
        std::array<pollfd, 2> polled{
            {{signals.get(), POLLIN, 0}, {command.messages.get(), POLLIN, 0}}};
        if (::poll(polled.data(), polled.size(), -1) < 0) {
            continue;
        }
        signalfd_siginfo info{};
        while (::read(signals.get(), &info, sizeof info) == sizeof info) {
            if (static_cast<int>(info.ssi_signo) != SIGCHLD && child_lives) {
                ::kill(child, static_cast<int>(info.ssi_signo));
            }
        }
        if (polled[1].revents != 0) {
            // Acted on when we have seen what PROGRAM has done meanwhile.
            forwarded = receive_value<ForwardedSignal>(command.messages);
            if (!forwarded) {
                command = {}; // it was killed: PROGRAM goes on
            }
        }
    }
}

} // namespace

void fail_for(const Fd &command, const std::string &message)
{
    send_value(command, ProgramStatus{ProgramStatus::Kind::exited, own_failure, false});
    fail(message);
}

void reap(unsigned depth, ReaperLink command, const std::function<void()> &program)
{
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (depth > 0) {
        enter_namespaces(command.messages);
    }
    for (unsigned level = 0; level < depth; ++level) {
        const pid_t init = ::fork();
        if (init < 0) {
            fail_for(command.messages, "--pidns: fork: " + reason());
        }
        if (init > 0) {
            command = {};
            reap_until_alone(init, {});
        }
        if (level + 1 < depth && ::unshare(CLONE_NEWPID) != 0) {
            fail_for(command.messages,
                     "--pidns: namespace " + std::to_string(level + 2) + ": " + reason());
        }
    }
    if (depth > 0 &&
        ::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
        fail_for(command.messages, "--pidns: a fresh /proc: " + reason());
    }
    const pid_t child = ::fork();
    if (child < 0) {
        fail_for(command.messages, "fork: " + reason());
    }
    if (child == 0) {
        command = {};
        program();
        ::_exit(own_failure);
    }
    reap_until_alone(child, std::move(command));
}

} // namespace clone2::cli
