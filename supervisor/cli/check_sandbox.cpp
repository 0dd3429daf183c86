// SPDX-License-Identifier: MIT
#include "cli/check_sandbox.hpp"

#include "base/kernel_clone2.hpp"
#include "base/printable.hpp"
#include "cli/wire.hpp"
#include "listener/filter.hpp"
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

namespace clone2::cli
{

namespace
{

constexpr const char *default_socket = "/run/clone2-supervise/agent.sock";
/// What the call is answered with: no filter would give it.
constexpr int reached = EXFULL;

/// How the probing call ended.
struct Probe {
    int listener_error = 0; ///< no listener could be installed
    int err = 0;            ///< the call's errno
    int signal = 0;         ///< it was killed
};

/// In a process of its own, which has the filter: its child calls, itself answers.
Probe call_under_filter(const std::vector<sock_filter> &filter)
{
    Probe probe;
    InstalledFilter installed = install_filter(filter);
    if (installed.listener < 0) {
        probe.listener_error = -installed.listener;
        return probe;
    }
    auto [caller_ended, callers] = make_socket_pair(); // a pidfd may be refused here
    const pid_t caller = ::fork();
    if (caller == 0) {
        caller_ended.reset();
        const long result = ::syscall(clone2_nr, nullptr, nullptr);
        ::_exit(result < 0 ? errno : 0);
    }
    if (caller < 0) {
        probe.listener_error = errno;
        ::close(installed.listener);
        return probe;
    }
    callers.reset();
    // Here is nobody else to receive; an unanswered call would not even end with the caller.
    Listener listener(Fd(installed.listener), installed.wait_killable);
    std::array<pollfd, 2> polled{{{listener.fd(), POLLIN, 0}, {caller_ended.get(), POLLIN, 0}}};
    while (::poll(polled.data(), polled.size(), -1) < 0 && errno == EINTR) {
    }
    if (listener.pending() == Listener::Pending::notification) {
        if (const auto notification = listener.receive()) {
            (void)listener.answer(notification->id, -reached);
        }
    }
    int status = 0;
    (void)::waitpid(caller, &status, 0);
    probe.err = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    probe.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return probe;
}

std::optional<Probe> probe_number()
{
    const auto filter = build_filter(clone2_nr);
    if (!filter) {
        return std::nullopt;
    }
    auto [here, there] = make_socket_pair();
    const pid_t child = ::fork();
    if (child == 0) {
        here.reset();
        try {
            send_value(there, call_under_filter(*filter));
        } catch (const std::exception &) {
            ::_exit(1); // what is not told is not known
        }
        ::_exit(0);
    }
    there.reset();
    const std::optional<Probe> probe = receive_value<Probe>(here);
    if (child > 0) {
        (void)::waitpid(child, nullptr, 0);
    }
    return probe;
}

} // namespace

Feature number_feature()
{
    Feature feature{"number", false, false, "not known", "see notification"};
    const std::optional<Probe> probe = probe_number();
    if (!probe || probe->listener_error != 0) {
        return feature;
    }
    const std::string number = "system call " + std::to_string(clone2_nr);
    feature.present = probe->signal == 0 && probe->err == reached;
    if (feature.present) {
        feature.found = number + " reaches our filter";
        feature.consequence = "no stricter filter is in the way";
        return feature;
    }
    feature.required = true;
    feature.found = number + " is refused by another filter, with " +
                    (probe->signal != 0 ? signal_name(static_cast<unsigned>(probe->signal))
                                        : errno_name(probe->err));
    feature.consequence = "the sandbox's or container's seccomp profile comes first: it must "
                          "allow this number (or --nr another one)";
    return feature;
}

std::string clone3_refusal()
{
    // Too small a size is EINVAL for every kernel that has it.
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
        feature.found = "an agent takes connections at " + printable(where);
        feature.consequence = "clone2-shim can run programs here";
    } else {
        feature.found = "none at " + printable(where) + " (" + errno_name(errno) + ")";
        feature.consequence = "clone2-shim has nobody to serve it (clone2-supervise --listen)";
    }
    return feature;
}

} // namespace clone2::cli
