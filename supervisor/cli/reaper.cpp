// SPDX-License-Identifier: MIT
#include "cli/reaper.hpp"

#include "cli/descriptors.hpp"
#include "cli/own_failure.hpp"
#include "cli/pid_namespace.hpp"
#include "cli/signals.hpp"
#include "cli/stops.hpp"
#include "cli/title.hpp"
#include "cli/user_namespace.hpp"
#include "cli/witness.hpp"

#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace clone2::cli
{

namespace
{

ProgramStatus decode(int wait_status)
{
    if (WIFSTOPPED(wait_status)) {
        return {ProgramStatus::Kind::stopped, WSTOPSIG(wait_status), false};
    }
    if (WIFCONTINUED(wait_status)) {
        return {ProgramStatus::Kind::continued, SIGCONT, false};
    }
    if (WIFSIGNALED(wait_status)) {
        return {ProgramStatus::Kind::killed, WTERMSIG(wait_status), false,
                WCOREDUMP(wait_status) != 0};
    }
    return {ProgramStatus::Kind::exited, WEXITSTATUS(wait_status), false};
}

void tell(const ReaperLink &command, const ProgramStatus &news)
{
    send_value(command.messages, news);
    if (news.kind != ProgramStatus::Kind::stopped &&
        news.kind != ProgramStatus::Kind::still_stopped) {
        const char ring = 0;
        (void)!::send(command.bell.get(), &ring, sizeof ring, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

/// Common set-up of every reaper.
void settle(std::vector<int> kept)
{
    set_title("clone2-reap");
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        close_standard(fd);
    }
    close_others(std::move(kept));
    (void)!::chdir("/"); // don't keep a file system busy
}

/// Runs outside the namespace of this init until no child is left.
[[noreturn]] void reap_around(pid_t init)
{
    ::setsid();
    settle({});
    int wait_status = 0;
    pid_t pid = 0;
    while ((pid = ::waitpid(-1, &wait_status, WUNTRACED | __WALL)) > 0 || errno == EINTR) {
        if (pid == init && WIFSTOPPED(wait_status)) {
            wake_reaper(init);
        }
    }
    ::_exit(0);
}

/// PROGRAM's parent. Created before PROGRAM; throws std::system_error.
class Parent
{
public:
    /// `child`: PROGRAM. Runs until no child is left.
    [[noreturn]] void run(pid_t child, ReaperLink command);

    Lifelines lifelines;
    bool wait_all = false; ///< the command also waits for what PROGRAM leaves behind

private:
    void kill_if_cut();
    bool reap();
    void see(const ProgramStatus &news);
    void act_on(const ForwardedSignal &forwarded);
    void judge(const ForwardedSignal &forwarded);
    void pass_on(const ForwardedSignal &forwarded, bool for_group);
    void pass_on_own(const std::vector<SentSignal> &signals);

    Fd children_ = open_signals(only(SIGCHLD));
    Witness witness_;
    Stops stops_;
    bool cut_ = false;                         ///< a lifeline
    ReaperLink command_;                       ///< empty: gone, or the end was reported
    pid_t child_ = 0;                          ///< 0: it has ended
    std::optional<ForwardedSignal> undecided_; ///< sent to the group or not? see may_have_lost()
    std::optional<ProgramStatus> ended_;       ///< to be reported
};

void Parent::run(pid_t child, ReaperLink command)
{
    witness_.begin();
    child_ = child;
    command_ = std::move(command);
    const auto [parent_fd, command_fd] = lifelines.fds();
    settle({children_.get(), witness_.fd().get(), command_.messages.get(), command_.bell.get(),
            parent_fd, command_fd});
    std::optional<ForwardedSignal> forwarded;
    for (;;) {
        const bool alone = reap();
        if (forwarded && child_ > 0) {
            act_on(*forwarded);
        }
        forwarded.reset();
        if (ended_ && command_.messages) {
            ended_->alone = alone;
            if (!wait_all) {
                kill_if_cut(); // for the last time
                lifelines = {};
            }
            tell(command_, *ended_);
            command_ = {};
        }
        if (alone) {
            ::_exit(0);
        }
        kill_if_cut();
        witness_.look();
        if (command_.messages) {
            witness_.ask(command_.messages);
        } else {
            pass_on_own(witness_.answered(0));
        }
        if (!command_.early.empty()) {
            forwarded = command_.early.front();
            command_.early.pop_front();
            continue;
        }
        const auto [parent, of_command] = lifelines.polled();
        std::array<pollfd, 5> polled{{{children_.get(), POLLIN, 0},
                                      {witness_.fd().get(), POLLIN, 0},
                                      {command_.messages.get(), POLLIN, 0},
                                      parent,
                                      of_command}};
        if (::poll(polled.data(), polled.size(), -1) < 0) {
            continue;
        }
        while (read_signal(children_)) {
        }
        if (polled[2].revents != 0) {
            // Act on it only after reap() has seen what PROGRAM did in the meantime.
            forwarded = receive_value<ForwardedSignal>(command_.messages);
            if (!forwarded) { // the command was killed: PROGRAM keeps running
                command_ = {};
                ::setsid();
            }
        }
    }
}

/// Kills all children if a lifeline is cut. Each death leads here again, so children that we get
/// from those that died are killed, too.
void Parent::kill_if_cut()
{
    if (!cut_ && lifelines.cut()) {
        cut_ = true;
        lifelines = {};
    }
    if (cut_) {
        kill_children(child_);
    }
}

/// Reaps children. Returns whether none is left.
bool Parent::reap()
{
    int wait_status = 0;
    pid_t pid = 0;
    while ((pid = ::waitpid(-1, &wait_status, WNOHANG | WUNTRACED | WCONTINUED | __WALL)) > 0) {
        if (pid == child_) {
            see(decode(wait_status));
        }
    }
    return pid < 0 && errno == ECHILD;
}

/// Handles a change of PROGRAM's state. The command may be gone; then the report goes nowhere.
void Parent::see(const ProgramStatus &news)
{
    switch (news.kind) {
    case ProgramStatus::Kind::stopped:
        stops_.stopped();
        tell(command_, news);
        break;
    case ProgramStatus::Kind::continued:
        if (stops_.continued()) {
            tell(command_, news);
        }
        break;
    default:
        child_ = 0;
        ended_ = news;
        ::setsid(); // processes left behind are not part of the job
    }
}

void Parent::act_on(const ForwardedSignal &forwarded)
{
    switch (forwarded.kind) {
    case ForwardedSignal::Kind::signal:
        judge(forwarded);
        break;
    case ForwardedSignal::Kind::do_stops_last:
        if (stops_.lasts(forwarded.stops) && may_be_stopped(child_)) {
            tell(command_, {ProgramStatus::Kind::still_stopped, forwarded.question, false});
        }
        break;
    case ForwardedSignal::Kind::no_more:
        pass_on_own(witness_.answered(forwarded.question));
        if (undecided_ && !witness_.may_have_lost(undecided_->signal)) {
            pass_on(*std::exchange(undecided_, std::nullopt), false);
        }
        break;
    }
}

void Parent::judge(const ForwardedSignal &forwarded)
{
    const int number = forwarded.signal.number;
    const bool for_group = witness_.has(forwarded.signal);
    if (!for_group && witness_.may_have_lost(forwarded.signal)) {
        undecided_ = forwarded;
        return;
    }
    if (for_group && undecided_ && take_each_other_back(undecided_->signal.number, number)) {
        undecided_.reset(); // it was sent to the group, and this one came after it
    }
    pass_on(forwarded, for_group);
}

void Parent::pass_on(const ForwardedSignal &forwarded, bool for_group)
{
    const bool has_it = for_group && ::getpgid(child_) == ::getpgrp();
    if (forwarded.signal.number == SIGCONT ? stops_.wants(forwarded, has_it) : !has_it) {
        hand_on(forwarded.signal, child_);
    }
}

/// Forwards what was sent to us alone, but only from an init and from senders inside its own
/// namespace. A sender outside ends every process of a control group, for example.
void Parent::pass_on_own(const std::vector<SentSignal> &signals)
{
    for (const SentSignal &signal : signals) {
        if (::getpid() == 1 && signal.pid != 0 && child_ > 0) {
            hand_on(signal, child_);
        }
    }
}

/// What remains to be done of --pidns in PROGRAM's process.
void settle_program(const Options &options, bool user_namespace)
{
    if (options.program_pid == 1) {
        mount_proc();
        limit_pids(options);
    }
    if (options.first_pid != 0) {
        count_pids_from(options.first_pid, "--first-pid");
    }
    if (user_namespace && options.map_current_user) {
        keep_capabilities();
    }
}

} // namespace

void fail_for(const Fd &command, const std::string &message)
{
    // There is no PROGRAM, so the command waits for the serving process, which ends, too.
    send_value(command, ProgramStatus{ProgramStatus::Kind::exited, own_failure, true});
    fail(message);
}

void fail_for(const Fd &command, const std::exception &error)
{
    if (const auto *const ended = dynamic_cast<const EndedBySignal *>(&error)) {
        send_value(command, ProgramStatus{ProgramStatus::Kind::killed, ended->signal(), true});
        ::_exit(own_failure);
    }
    fail_for(command, reason_of(error));
}

void reap(const Options &options, ReaperLink command, Lifelines lifelines, bool user_namespace,
          const OwnRanges &ranges, const InheritedSignals &inherited,
          const std::function<void()> &program)
{
    const unsigned depth = options.pidns_depth;
    const bool program_is_init = options.program_pid == 1;
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    std::optional<Parent> parent;
    try {
        if (depth > 0) {
            user_namespace =
                enter_namespaces(options, {ranges, inherited, command}) || user_namespace;
        }
        for (unsigned level = 0; level < depth - (program_is_init ? 1 : 0); ++level) {
            const pid_t init = ::fork();
            if (init < 0) {
                throw std::runtime_error("--pidns: fork: " + reason());
            }
            if (init > 0) {
                command = {};
                reap_around(init);
            }
            if (level + 1 < depth && ::unshare(CLONE_NEWPID) != 0) {
                throw std::runtime_error("--pidns: namespace " + std::to_string(level + 2) + ": " +
                                         no_namespace(errno));
            }
        }
        if (depth > (program_is_init ? 1U : 0U)) { // we are an init
            mount_proc();
        }
        if (depth > 0 && !program_is_init) {
            limit_pids(options);
            if (options.program_pid != 0) {
                count_pids_from(options.program_pid, "--pid");
            }
        }
        parent.emplace();
    } catch (const std::exception &error) {
        fail_for(command.messages, error);
    }
    parent->lifelines = std::move(lifelines);
    parent->wait_all = options.wait_all;
    const pid_t child = ::fork();
    if (child < 0) {
        fail_for(command.messages, "fork: " + reason());
    }
    if (child == 0) {
        command = {};
        parent->lifelines = {};
        try {
            settle_program(options, user_namespace);
        } catch (const std::exception &error) {
            fail(reason_of(error));
        }
        program();
        ::_exit(own_failure);
    }
    parent->run(child, std::move(command));
}

} // namespace clone2::cli
