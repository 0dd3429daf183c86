// SPDX-License-Identifier: MIT
#include "cli/check_forms.hpp"

#include "arch/trial.hpp"
#include "calls/call_handler.hpp"
#include "cli/messages.hpp"
#include "filter/filter.hpp"
#include "listener/listener.hpp"
#include "plan/flags.hpp"

#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace clone2::cli
{

namespace
{

/// What came of a call that was tried.
struct Outcome {
    Error failure; ///< it could not be served; err 0: none
    std::optional<std::int32_t> result;
    int not_tried = 0;           ///< the errno because of which it was not made
    int signal = 0;              ///< that killed its caller
    bool without_pid = false;    ///< the pid could not be chosen
    std::array<char, 128> why{}; ///< of a refusal
};

class Why final : public AuditSink
{
public:
    void record(const CallRecord &record) override { text = record.why; }
    [[nodiscard]] bool wants_successes() const override { return false; }
    [[nodiscard]] bool wants_details() const override { return false; }
    std::string text;
};

/// A filter that kills must not leave a core. With PR_SET_DUMPABLE the supervisor could not look
/// into the process. A limit of 1 also keeps a program that cores are piped to from being started.
void forbid_core()
{
    rlimit limit{};
    ::getrlimit(RLIMIT_CORE, &limit);
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 1);
    ::setrlimit(RLIMIT_CORE, &limit);
}

/// Serves the calls of the calling process's children.
class Server
{
public:
    Server(const TrappedCall &call, Listener &listener)
        : call_(call), listener_(listener), handler_(std::make_shared<const Procfs>(), quiet_),
          owner_(why_, CallTable({call}))
    {
    }

    Outcome try_call(const TrialWay &way, pid_t pid)
    {
        Outcome outcome;
        why_.text.clear();
        auto [here, there] = make_socket_pair();
        const pid_t child = ::fork();
        if (child == 0) {
            here.reset();
            forbid_core();
            ::_exit(way.try_it(
                call_.number, [&](std::uint64_t address) { return call_.abi->trial(address, pid); },
                there.get()));
        }
        if (child < 0) {
            outcome.failure = last_error("fork()");
            return outcome;
        }
        there.reset();
        if (const Result<void> served = serve_until_report(here); !served) {
            outcome.failure = served.error();
            ::kill(child, SIGKILL);
        }
        outcome.result = receive_value<std::int32_t>(here);
        int status = 0;
        if (::waitpid(child, &status, 0) == child && !outcome.result) {
            outcome.not_tried = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
            outcome.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        }
        why_.text.copy(outcome.why.data(), outcome.why.size() - 1);
        return outcome;
    }

private:
    /// An error: a call can't be served, and its caller waits.
    Result<void> serve_until_report(const Fd &report)
    {
        std::array<pollfd, 2> polled{{{listener_.fd(), POLLIN, 0}, {report.get(), POLLIN, 0}}};
        for (;;) {
            if (::poll(polled.data(), polled.size(), -1) < 0) {
                if (errno != EINTR) {
                    return last_error("poll()");
                }
                continue;
            }
            if (polled[1].revents != 0) {
                return {};
            }
            const Result<Notification> notification = listener_.receive();
            if (!notification) {
                if (notification.error().err != ENOENT) {
                    return notification.error();
                }
                continue;
            }
            while (handler_.serve({listener_, *notification}, owner_) ==
                   CallHandler::Served::later) {
            }
            if (listener_.still_valid(notification->id)) {
                return Error("ioctl(NOTIF_SEND)", 0, EIO);
            }
        }
    }

    TrappedCall call_;
    Listener &listener_;
    Diagnostics quiet_{Verbosity::quiet};
    Why why_;
    CallHandler handler_;
    ListenerOwner owner_;
};

/// A pid that was in use until now, so nobody is given it soon.
pid_t free_pid()
{
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(0);
    }
    return child > 0 && ::waitpid(child, nullptr, 0) == child ? child : 0;
}

/// Runs in a child, because a filter can't be removed.
void try_form(const TrappedCall &call, const Fd &outcomes)
{
    const Result<InstalledFilter> installed = install_filter(build_filter(CallTable({call})));
    std::optional<Listener> listener;
    std::optional<Server> server;
    if (installed) {
        listener.emplace(Fd(installed->listener), installed->wait_killable);
        server.emplace(call, *listener);
    }
    for (const TrialWay &way : trial_ways()) {
        if (way.audit_arch != call.arch) {
            continue;
        }
        if (!server) {
            Outcome outcome;
            outcome.failure = installed.error();
            send_value(outcomes, outcome);
            continue;
        }
        Outcome outcome = server->try_call(way, free_pid());
        if (outcome.result && *outcome.result == -EPERM) {
            outcome = server->try_call(way, 0);
            outcome.without_pid = true;
        }
        send_value(outcomes, outcome);
    }
}

bool was_made(const Outcome &outcome)
{
    return outcome.result && *outcome.result > 0;
}

std::string describe(const Outcome &outcome)
{
    if (outcome.failure.err != 0) {
        return outcome.failure.to_string();
    }
    if (was_made(outcome)) {
        return "a child with pid " + std::to_string(*outcome.result) +
               (outcome.without_pid ? ", which could not be chosen," : "") + " was made";
    }
    if (outcome.result) {
        const std::string why = outcome.why.data();
        return errno_name(-*outcome.result) + (why.empty() ? "" : ", " + why);
    }
    if (outcome.signal == SIGSEGV) {
        return "SIGSEGV: this kernel has no such calls";
    }
    if (outcome.signal != 0) {
        return "the call ends its caller with " +
               signal_name(static_cast<unsigned>(outcome.signal));
    }
    if (outcome.not_tried == ENOEXEC) {
        return "not tried, because this kernel executes no such programs (ENOEXEC)";
    }
    return "not tried, because such a program can't be executed here: " +
           errno_name(outcome.not_tried);
}

TrappedCall call_of(const Architecture &arch, const Abi &abi, const CallTable &calls)
{
    const auto is_it = [&](const TrappedCall &call) {
        return call.arch == arch.audit_arch() && call.abi == &abi;
    };
    const auto given = calls.calls();
    if (const auto found = std::find_if(given.begin(), given.end(), is_it); found != given.end()) {
        return *found;
    }
    TrappedCall call{arch.audit_arch(), standard_call.number, &abi};
    for (const SharedNumber &shared : known_shared_numbers()) {
        if (!is_standard(call) && is_it(shared.call)) {
            call = shared.call;
        }
    }
    return call;
}

/// What try_form() found out, one for each way.
std::vector<Outcome> outcomes_of(const TrappedCall &call)
{
    std::vector<Outcome> outcomes;
    auto [here, there] = make_socket_pair();
    const pid_t child = ::fork();
    if (child == 0) {
        here.reset();
        try {
            try_form(call, there);
        } catch (const std::exception &) {
            ::_exit(1); // without a report the result is unknown
        }
        ::_exit(0);
    }
    there.reset();
    while (const auto outcome = receive_value<Outcome>(here)) {
        outcomes.push_back(*outcome);
    }
    if (child > 0) {
        (void)::waitpid(child, nullptr, 0);
    }
    return outcomes;
}

std::string name_of(const TrappedCall &call)
{
    return architecture_name(call.arch) + ":" + std::string(call.abi->name);
}

Feature form_feature(const TrappedCall &call, bool required)
{
    Feature feature{name_of(call), false, required, "number " + std::to_string(call.number),
                    "such calls are not served here"};
    const std::vector<Outcome> outcomes = outcomes_of(call);
    auto outcome = outcomes.begin();
    std::size_t made = 0;
    std::size_t tried = 0;
    for (const TrialWay &way : trial_ways()) {
        if (way.audit_arch != call.arch) {
            continue;
        }
        feature.found += (tried++ == 0 ? ", by " : "; by ") + std::string(way.text) + ": ";
        if (outcome == outcomes.end()) {
            feature.found += "unknown, " + Error("a message from a child", 0, EIO).to_string();
            continue;
        }
        made += was_made(*outcome) ? 1 : 0;
        feature.found += describe(*outcome++);
    }
    feature.present = made == tried;
    if (made != 0) {
        feature.consequence =
            feature.present ? "such calls are served" : "served where a child was made";
    }
    return feature;
}

} // namespace

std::vector<Feature> form_features(const CallTable &calls, bool can_work)
{
    std::vector<Feature> features;
    for (const Architecture *const arch : architectures()) {
        for (const Abi *const abi : known_abis()) {
            const TrappedCall call = call_of(*arch, *abi, calls);
            const TrappedCall *const found = calls.find(call.arch, call.number);
            const bool asked = found != nullptr && *found == call;
            features.push_back(
                can_work ? form_feature(call, asked && call.arch == standard_call.arch)
                         : Feature{name_of(call), false, false, "not tried", "see calls"});
        }
    }
    return features;
}

} // namespace clone2::cli
