// SPDX-License-Identifier: MIT
#include "cli/check_sandbox.hpp"

#include "base/kernel_clone2.hpp"
#include "base/nesting_level.h"
#include "base/printable.hpp"
#include "cli/in_child.hpp"
#include "cli/messages.hpp"
#include "filter/filter.hpp"
#include "listener/listener.hpp"
#include "plan/flags.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
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

/// Arguments with which a call by a number that it shares is taken for ours. Null in all others.
Arguments arguments_for(const TrappedCall &call)
{
    Arguments arguments{};
    if (const SharedNumber *const shared = find_shared_number(call); shared != nullptr) {
        satisfy_guards(shared->guards.data(), static_cast<unsigned>(shared->guards.size()),
                       arguments.data());
    }
    return arguments;
}

/// Runs in a child that has the filter. The child answers; its own child makes the call.
Probe call_under_filter(const std::vector<sock_filter> &filter, const TrappedCall &call)
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
        ::prctl(PR_SET_DUMPABLE, 0); // a filter that kills must not leave a core
        const auto a = arguments_for(call);
        const long result = ::syscall(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
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
    const auto filter = build_filter(CallTable({call}));
    const Result<Probe> probe = in_child<Probe>([&] { return call_under_filter(filter, call); });
    if (probe) {
        return *probe;
    }
    Probe failed;
    failed.failure = probe.error();
    return failed;
}

/// Why a call of this kind does not reach a filter of ours. Empty: it does.
std::string refusal_in(const Probe &probe, const TrappedCall &call)
{
    if (probe.signal == 0 && probe.err == reached) {
        return {};
    }
    return "system call " + std::to_string(call.number) + " is refused by another filter, with " +
           (probe.signal != 0 ? signal_name(static_cast<unsigned>(probe.signal))
                              : errno_name(probe.err));
}

/// What can be done about a refused number. Most profiles refuse all numbers that they don't know,
/// so another number is recommended only if it is not refused.
std::string advice_for(TrappedCall call)
{
    std::string advice =
        "the sandbox's or container's seccomp profile comes first: it must allow this number";
    const int refused = call.number;
    for (const int number : {refused + 1, refused - 1}) {
        call.number = number;
        if (number >= 0 && !number_in_use(CallTable({call}))) {
            const Probe probe = probe_number(call);
            if (probe.failure.err == 0 && refusal_in(probe, call).empty()) {
                return advice + " (or --nr another one: " + std::to_string(number) +
                       " is not refused)";
            }
        }
    }
    return advice;
}

/// Why an agent was not reached.
struct Unreached {
    const char *call;
    int err;
    bool at_path; ///< no agent accepts us there; else there may be one
};

std::optional<Unreached> connect_agent(const std::string &path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        return Unreached{"connect", ENAMETOOLONG, true};
    }
    path.copy(address.sun_path, path.size());
    const Fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!socket) {
        return Unreached{"socket", errno, false};
    }
    if (::connect(socket.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) ==
        0) {
        return std::nullopt;
    }
    constexpr std::array at_path{ENOENT, ECONNREFUSED, ENOTDIR, ELOOP, EPROTOTYPE, EACCES};
    const int err = errno;
    return Unreached{"connect", err,
                     std::find(at_path.begin(), at_path.end(), err) != at_path.end()};
}

} // namespace

Feature number_feature(const TrappedCall &call)
{
    const Probe probe = probe_number(call);
    if (probe.failure.err != 0) {
        return {"number", false, false, "unknown: " + probe.failure.to_string(),
                "see calls and notification"};
    }
    const std::string refusal = refusal_in(probe, call);
    if (refusal.empty()) {
        return {"number", true, false,
                "system call " + std::to_string(call.number) + " reaches our filter",
                "no stricter filter is in the way"};
    }
    return {"number", false, true, refusal, advice_for(call)};
}

RefusedNumbers refused_numbers(const CallTable &trapped)
{
    RefusedNumbers refused;
    if (!is_filtered()) {
        return refused;
    }
    for (const TrappedCall &call : trapped.calls()) {
        if (call.arch != standard_call.arch) {
            continue; // can't be made from here
        }
        const Feature feature = number_feature(call);
        if (feature.required && !feature.present) {
            refused.why.push_back(feature.found + ": " + feature.consequence);
        }
        refused.all = refused.all && !feature.present;
    }
    return refused;
}

std::string clone3_refusal()
{
    const int err = clone3_error();
    return err == 0 ? ""
                    : "clone3 itself gives " + errno_name(err) +
                          ": not in this kernel (5.5), or forbidden by a filter here";
}

Feature agent_feature(const std::optional<std::string> &path)
{
    const char *const variable = std::getenv("CLONE2_SOCKET");
    const std::string where =
        path.value_or(variable != nullptr && *variable != 0 ? variable : default_socket);
    const std::optional<Unreached> failed = connect_agent(where);
    if (!failed) {
        return {"agent", true, false, "an agent accepts connections at " + printable(where),
                "clone2-shim can run programs here"};
    }
    // In the words of clone2-shim.
    const std::string error = errno_name(failed->err);
    if (!failed->at_path) {
        return {"agent", false, false,
                "can't connect to " + printable(where) + " (" + failed->call + ": " + error + ")",
                "it could not be found out whether an agent is there"};
    }
    return {"agent", false, false, "none at " + printable(where) + " (" + error + ")",
            failed->err == EACCES
                ? "if an agent listens there, it must allow this user (--allow-uid)"
                : "clone2-shim needs an agent (clone2-supervise --listen)"};
}

} // namespace clone2::cli
