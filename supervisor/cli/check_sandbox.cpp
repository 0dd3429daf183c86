// SPDX-License-Identifier: MIT
#include "cli/check_sandbox.hpp"

#include "base/printable.hpp"
#include "cli/messages.hpp"
#include "filter/filter.hpp"
#include "listener/listener.hpp"
#include "plan/flags.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <optional>
#include <system_error>

namespace clone2::cli
{

namespace
{

constexpr const char *default_socket = "/run/clone2-supervise/agent.sock";
/// Our answer to the call. No filter would return it.
constexpr int reached = EXFULL;

/// The outcome of the probing call.
struct Probe {
    Error failure;  ///< the call was not made or could not be answered; err 0: none
    int err = 0;    ///< the call's errno
    int signal = 0; ///< the signal that killed it
};

/// Waits for a call and answers it, or returns when the caller has ended.
Result<void> answer_call(Listener &listener, const Fd &caller_ended)
{
    std::array<pollfd, 2> polled{{{listener.fd(), POLLIN, 0}, {caller_ended.get(), POLLIN, 0}}};
    while (::poll(polled.data(), polled.size(), -1) < 0) {
        if (errno != EINTR) {
            return last_error("poll()");
        }
    }
    if (listener.pending() != Listener::Pending::notification) {
        return {};
    }
    const Result<Notification> notification = listener.receive();
    return notification ? listener.answer(notification->id, -reached) : notification.error();
}

/// Runs in a child that has the filter. The child answers; its own child makes the call.
Probe call_under_filter(const std::vector<sock_filter> &filter, int nr)
{
    Probe probe;
    const Result<InstalledFilter> installed = install_filter(filter);
    if (!installed) {
        probe.failure = installed.error();
        return probe;
    }
    std::optional<Listener> listener;
    try {
        listener.emplace(Fd(installed->listener), installed->wait_killable);
    } catch (const std::system_error &error) {
        probe.failure = {"ioctl() of a listener", 0, error.code().value()};
        return probe;
    }
    auto [caller_ended, callers] = make_socket_pair(); // a filter may refuse pidfds
    const pid_t caller = ::fork();
    if (caller == 0) {
        caller_ended.reset();
        listener.reset();
        const long result = ::syscall(nr, nullptr, nullptr);
        ::_exit(result < 0 ? errno : 0);
    }
    if (caller < 0) {
        probe.failure = last_error("fork()");
        return probe;
    }
    callers.reset();
    if (const Result<void> answered = answer_call(*listener, caller_ended); !answered) {
        probe.failure = answered.error();
    }
    // This was the only copy: a call still unanswered ends now.
    listener.reset();
    int status = 0;
    if (::waitpid(caller, &status, 0) != caller && probe.failure.err == 0) {
        probe.failure = last_error("wait4()");
    }
    probe.err = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    probe.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return probe;
}

Probe probe_number(const TrappedCall &call)
{
    Probe failed;
    const auto filter = build_filter(CallTable({call}));
    auto [here, there] = make_socket_pair();
    const pid_t child = ::fork();
    if (child == 0) {
        here.reset();
        try {
            send_value(there, call_under_filter(filter, call.number));
        } catch (const std::exception &) {
            ::_exit(1); // without a report the result is unknown
        }
        ::_exit(0);
    }
    there.reset();
    if (child < 0) {
        failed.failure = last_error("fork()");
        return failed;
    }
    failed.failure = {"a message from a child", 0, EIO};
    const Probe probe = receive_value<Probe>(here).value_or(failed);
    (void)::waitpid(child, nullptr, 0);
    return probe;
}

} // namespace

Feature number_feature(const TrappedCall &call)
{
    const Probe probe = probe_number(call);
    if (probe.failure.err != 0) {
        return {"number", false, false, "unknown: " + probe.failure.to_string(),
                "see calls and notification"};
    }
    Feature feature{"number", false, false, "", ""};
    const std::string number = "system call " + std::to_string(call.number);
    feature.present = probe.signal == 0 && probe.err == reached;
    if (feature.present) {
        feature.found = number + " reaches our filter";
        feature.consequence = "no stricter filter is in the way";
        return feature;
    }
    feature.required = true;
    feature.found = number + " is refused by another filter, with " +
                    (probe.signal != 0 ? signal_name(static_cast<unsigned>(probe.signal))
                                       : errno_name(probe.err));
    feature.consequence = "the sandbox's or container's seccomp profile comes first: it must "
                          "allow this number (or --nr another one)";
    return feature;
}

std::string clone3_refusal()
{
    // Every kernel that has clone3 answers too small a size with EINVAL.
    if (::syscall(SYS_clone3, nullptr, 0) == -1 && errno == EINVAL) {
        return {};
    }
    return "clone3 itself gives " + errno_name(errno) +
           ": not in this kernel (5.5), or forbidden by a filter here";
}

Feature agent_feature(const std::optional<std::string> &path)
{
    const char *const variable = std::getenv("CLONE2_SOCKET");
    const std::string where =
        path.value_or(variable != nullptr && *variable != 0 ? variable : default_socket);
    Feature feature{"agent", false, false, "", ""};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    where.copy(address.sun_path, sizeof address.sun_path - 1);
    const Fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    feature.present =
        ::connect(socket.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0;
    if (feature.present) {
        feature.found = "an agent accepts connections at " + printable(where);
        feature.consequence = "clone2-shim can run programs here";
    } else {
        feature.found = "none at " + printable(where) + " (" + errno_name(errno) + ")";
        feature.consequence = "clone2-shim needs an agent (clone2-supervise --listen)";
    }
    return feature;
}

} // namespace clone2::cli
