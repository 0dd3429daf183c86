// SPDX-License-Identifier: MIT
#include "cli/reaper.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
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

/// Our own failure, told as PROGRAM's status: nobody was killed.
[[noreturn]] void fail_for(const Fd &status, const std::string &message)
{
    send_value(status, ProgramStatus{ProgramStatus::Kind::exited, own_failure, false});
    fail(message);
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

/// Which of the signals that the command hands on PROGRAM is to get. A shell continues a job as a
/// whole, so the SIGCONT that the command had has reached PROGRAM, too; once more it would undo
/// the next stop (fg, and at once Ctrl-Z), even one that PROGRAM has not come to take yet.
class Stops
{
public:
    void stopped()
    {
        stopped_ = true;
        continued_by_us_ = continued_by_others_ = false;
        ++count_;
    }
    /// Whether it was known to be stopped.
    bool continued()
    {
        continued_by_others_ = stopped_ && !continued_by_us_;
        return std::exchange(stopped_, false);
    }
    [[nodiscard]] bool wants(const ForwardedSignal &signal)
    {
        switch (signal.number) {
        case SIGTSTP:
        case SIGTTIN:
        case SIGTTOU:
            asked_ = true;
            asked_at_ = signal.stops;
            return true;
        case SIGCONT: {
            const bool asked = std::exchange(asked_, false) && signal.stops == asked_at_;
            const bool current = signal.stops == count_;
            if (!asked && current && std::exchange(continued_by_others_, false)) {
                return false;
            }
            continued_by_us_ = stopped_ && (asked || current);
            return asked || current;
        }
        default:
            return true;
        }
    }

private:
    bool stopped_ = false;
    unsigned count_ = 0;
    /// What ended the last stop. If others, one SIGCONT of the command is theirs, too.
    bool continued_by_us_ = false;
    bool continued_by_others_ = false;
    /// The command has handed on a stop, and what was its count then. A SIGCONT after it is for
    /// that one, be it seen yet or not.
    bool asked_ = false;
    unsigned asked_at_ = 0;
};

/// How long until the command is told again that PROGRAM goes on. The first news may come just
/// before it stops by SIGSTOP, which nothing sent earlier can take back.
constexpr int repeat_ms = 50;

/// Until no child is left. `child`: the one that signals go to; `status`: may be empty.
[[noreturn]] void reap_until_alone(pid_t child, Fd status)
{
    ::prctl(PR_SET_NAME, "clone2-reap");
    // A session of our own: the terminal's signals are for PROGRAM.
    ::setsid();
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        close_standard(fd);
    }
    close_others({status.get()});
    (void)!::chdir("/"); // no file system is kept busy
    sigset_t set = forwarded_signals();
    sigaddset(&set, SIGCHLD);
    const Fd signals{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
    bool child_lives = true;
    bool repeat = false;
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
                repeat = false;
                send_value(status, news);
            } else if (news.kind == ProgramStatus::Kind::continued) {
                if (stops.continued()) {
                    repeat = send_value(status, news);
                }
            } else {
                child_lives = false;
                ended = news;
            }
        }
        if (forwarded && child_lives && stops.wants(*forwarded)) {
            ::kill(child, forwarded->number);
        }
        forwarded.reset();
        const bool alone = pid < 0 && errno == ECHILD;
        if (ended && status) {
            ended->alone = alone;
            send_value(status, *ended);
            status.reset();
        }
        if (alone) {
            ::_exit(0);
        }
        std::array<pollfd, 2> polled{{{signals.get(), POLLIN, 0}, {status.get(), POLLIN, 0}}};
        const int ready = ::poll(polled.data(), polled.size(), repeat ? repeat_ms : -1);
        if (ready < 0) {
            continue;
        }
        if (ready == 0) {
            repeat = false;
            send_value(status, ProgramStatus{ProgramStatus::Kind::continued, SIGCONT, false});
            continue;
        }
        signalfd_siginfo info{};
        while (::read(signals.get(), &info, sizeof info) == sizeof info) {
            if (static_cast<int>(info.ssi_signo) != SIGCHLD && child_lives) {
                ::kill(child, static_cast<int>(info.ssi_signo));
            }
        }
        if (polled[1].revents != 0) {
            // Handed on when we have seen whether PROGRAM has stopped meanwhile.
            forwarded = receive_value<ForwardedSignal>(status);
            if (!forwarded) {
                status.reset(); // the command was killed: PROGRAM goes on
            }
        }
    }
}

} // namespace

void reap(unsigned depth, Fd status, const std::function<void()> &program)
{
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (depth > 0) {
        enter_namespaces(status);
    }
    for (unsigned level = 0; level < depth; ++level) {
        const pid_t init = ::fork();
        if (init < 0) {
            fail_for(status, "--pidns: fork: " + reason());
        }
        if (init > 0) {
            status.reset();
            reap_until_alone(init, {});
        }
        if (level + 1 < depth && ::unshare(CLONE_NEWPID) != 0) {
            fail_for(status, "--pidns: namespace " + std::to_string(level + 2) + ": " + reason());
        }
    }
    if (depth > 0 &&
        ::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
        fail_for(status, "--pidns: a fresh /proc: " + reason());
    }
    const pid_t child = ::fork();
    if (child < 0) {
        fail_for(status, "fork: " + reason());
    }
    if (child == 0) {
        status.reset();
        program();
        ::_exit(own_failure);
    }
    reap_until_alone(child, std::move(status));
}

} // namespace clone2::cli
