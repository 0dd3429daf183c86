// SPDX-License-Identifier: MIT
#include "cli/user_namespace.hpp"

#include "base/diagnostics.hpp"
#include "base/fd.hpp"
#include "base/users.hpp"
#include "cli/own_failure.hpp"
#include "cli/signals.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

namespace clone2::cli
{

namespace
{

using Map = std::vector<MappedIds>;

std::string file_text(const char *path)
{
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const char *path, const std::string &text)
{
    const Fd file{::open(path, O_WRONLY | O_CLOEXEC)};
    if (!file || ::write(file.get(), text.data(), text.size()) != std::ssize(text)) {
        throw std::runtime_error(std::string(path) + ": " + reason());
    }
}

/// As the kernel's files and newuidmap(1) take it.
std::vector<std::string> words_of(const Map &map)
{
    std::vector<std::string> words;
    for (const MappedIds &ids : map) {
        for (const std::uint32_t number : {ids.inside, ids.outside, ids.count}) {
            words.push_back(std::to_string(number));
        }
    }
    return words;
}

std::string text_of(const Map &map)
{
    std::string text;
    for (const std::string &word : words_of(map)) {
        text += (text.empty() ? "" : " ") + word;
    }
    return text;
}

/// What the command forwards while the tools run, in the process that runs them.
class Relay
{
public:
    Relay(const Fd &command, const Fd &parent) : command_(command), parent_(parent) {}

    /// -1: nothing more will come.
    [[nodiscard]] int fd() const { return ended_ ? -1 : command_.get(); }
    /// From here on this tool gets the signals, first those that have come already.
    void start(pid_t tool)
    {
        tool_ = tool;
        for (const SentSignal &signal : signals_) {
            hand_on(signal, tool_);
        }
    }
    /// Call when fd() is readable.
    void receive()
    {
        const auto message = receive_value<ForwardedSignal>(command_);
        if (!message) { // the command was killed
            ended_ = true;
            return;
        }
        send_value(parent_, *message);
        if (message->kind == ForwardedSignal::Kind::signal && !is_stop(message->signal.number)) {
            signals_.push_back(message->signal);
            hand_on(message->signal, tool_);
        }
    }

private:
    const Fd &command_;
    const Fd &parent_;
    pid_t tool_ = 0;
    std::vector<SentSignal> signals_;
    bool ended_ = false;
};

/// Waits for a child's end; returns its status.
int wait_for_tool(pid_t tool, const Fd &children, Relay &relay)
{
    int status = 0;
    relay.start(tool);
    while (::waitpid(tool, &status, WNOHANG) == 0) {
        std::array<pollfd, 2> polled{{{children.get(), POLLIN, 0}, {relay.fd(), POLLIN, 0}}};
        (void)::poll(polled.data(), polled.size(), -1);
        (void)read_signal(children);
        if (polled[1].revents != 0) {
            relay.receive();
        }
    }
    return status;
}

/// Runs newuidmap(1), or newgidmap(1), for the process `target`. Returns its status; it says itself
/// why it fails, unless it can't be run. No terminal stops it: the shell would not learn of that.
int run_tool(const std::string &tool, pid_t target, const Map &map,
             const InheritedSignals &inherited, Relay &relay)
{
    std::vector<std::string> words{tool, std::to_string(target)};
    for (std::string &word : words_of(map)) {
        words.push_back(std::move(word));
    }
    std::vector<char *> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string &word : words) {
        arguments.push_back(word.data());
    }
    arguments.push_back(nullptr);
    InheritedSignals its = inherited;
    for (const int stop : {SIGTSTP, SIGTTIN, SIGTTOU}) {
        sigaddset(&its.mask, stop);
    }
    const Fd children = open_signals(only(SIGCHLD));
    const pid_t child = ::fork();
    if (child < 0) {
        throw std::system_error(errno, std::generic_category(), "--map-auto: fork()");
    }
    if (child == 0) {
        restore_signals(its);
        ::execvp(arguments.front(), arguments.data());
        Diagnostics::line("--map-auto: " + tool + ": " + reason() + " (package uidmap)");
        ::_exit(1);
    }
    return wait_for_tool(child, children, relay);
}

/// As a shell has it.
constexpr int ended_by_signal = 128;

/// Maps the ids of `target`. Returns 0, 1, or ended_by_signal and the signal.
int map_for(pid_t target, const Map &uids, const Map &gids, const InheritedSignals &inherited,
            Relay relay) noexcept
{
    try {
        int status = run_tool("newuidmap", target, uids, inherited, relay);
        if (status == 0) {
            status = run_tool("newgidmap", target, gids, inherited, relay);
        }
        for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) {
            if (WIFSIGNALED(status) && WTERMSIG(status) == signal) {
                return ended_by_signal + signal;
            }
        }
        return status == 0 ? 0 : 1;
    } catch (const std::exception &error) {
        Diagnostics::line(reason_of(error));
        return 1;
    }
}

/// A child that stays outside the new user namespace, and has its ids mapped: inside nobody may.
class Mapper
{
public:
    Mapper(const Map &uids, const Map &gids, const AutomaticMapping &mapping)
        : command_(mapping.command)
    {
        auto [own, other] = make_socket_pair();
        const pid_t target = ::getpid();
        child_ = ::fork();
        if (child_ < 0) {
            throw std::system_error(errno, std::generic_category(), "--map-auto: fork()");
        }
        if (child_ == 0) {
            own.reset();
            ::_exit(receive_value<char>(other) ? map_for(target, uids, gids, mapping.inherited,
                                                         Relay(command_.messages, other))
                                               : 1);
        }
        socket_ = std::move(own);
    }
    Mapper(const Mapper &) = delete;
    Mapper &operator=(const Mapper &) = delete;
    ~Mapper()
    {
        socket_.reset();
        (void)wait();
    }

    void map()
    {
        send_value(socket_, char{});
        while (const auto message = receive_value<ForwardedSignal>(socket_)) {
            command_.early.push_back(*message);
        }
        const int status = wait();
        if (WEXITSTATUS(status) > ended_by_signal) {
            throw EndedBySignal(WEXITSTATUS(status) - ended_by_signal);
        }
        if (status != 0) {
            throw std::runtime_error("--map-auto: the ids were not mapped");
        }
    }

private:
    int wait()
    {
        int status = 0;
        const pid_t child = std::exchange(child_, 0);
        while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        return status;
    }

    ReaperLink &command_;
    Fd socket_;
    pid_t child_ = 0;
};

} // namespace

OwnRanges own_ranges()
{
    const uid_t uid = ::geteuid();
    const std::string name = name_of_user(uid).value_or("");
    OwnRanges found;
    const auto first_in = [&](const char *path) {
        const std::optional<MappedIds> range = subordinate_ids(file_text(path), name, uid);
        if (!range && found.lack.empty()) {
            found.lack = std::string("--map-auto: ") + path + " has no range for user " +
                         (name.empty() ? std::to_string(uid) : name);
        }
        return range;
    };
    found.uids = first_in("/etc/subuid");
    found.gids = first_in("/etc/subgid");
    return found;
}

void enter_user_namespace(int flags, const UserMapping &mapping)
{
    const bool root = !mapping.current_user;
    const OwnRanges ranges = mapping.automatic != nullptr ? mapping.automatic->ranges : OwnRanges();
    if (!ranges.lack.empty()) {
        throw std::runtime_error(ranges.lack);
    }
    const Map uid_map = map_ids(::geteuid(), root, ranges.uids);
    const Map gid_map = map_ids(::getegid(), root, ranges.gids);
    std::optional<Mapper> mapper;
    if (mapping.automatic != nullptr) {
        mapper.emplace(uid_map, gid_map, *mapping.automatic);
    }
    if (::unshare(CLONE_NEWUSER | flags) != 0) {
        throw std::runtime_error("--pidns: new namespaces: " + no_namespace(errno) +
                                 " (without privilege, user namespaces must be allowed)");
    }
    if (mapper) {
        mapper->map();
        return;
    }
    write_file("/proc/self/uid_map", text_of(uid_map));
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/gid_map", text_of(gid_map));
}

void keep_capabilities()
{
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
    if (::syscall(SYS_capget, &header, sets.data()) != 0) {
        throw std::system_error(errno, std::generic_category(), "capget()");
    }
    for (__user_cap_data_struct &set : sets) {
        set.inheritable = set.permitted;
    }
    if (::syscall(SYS_capset, &header, sets.data()) != 0) {
        throw std::system_error(errno, std::generic_category(), "capset()");
    }
    for (unsigned capability = 0; capability < 32 * sets.size(); ++capability) {
        if ((sets[capability / 32].permitted >> capability % 32 & 1) != 0 &&
            ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0) {
            throw std::system_error(errno, std::generic_category(), "prctl(PR_CAP_AMBIENT)");
        }
    }
}

} // namespace clone2::cli
