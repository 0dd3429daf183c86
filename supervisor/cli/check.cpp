// SPDX-License-Identifier: MIT
#include "cli/check.hpp"

#include "base/capabilities.h"
#include "base/diagnostics.hpp"
#include "base/kernel_clone2.hpp"
#include "base/nesting_level.h"
#include "base/printable.hpp"
#include "base/procfs.hpp"
#include "cli/check_forms.hpp"
#include "cli/check_sandbox.hpp"
#include "cli/descriptors.hpp"
#include "cli/in_child.hpp"
#include "cli/messages.hpp"
#include "cli/needed_calls.hpp"
#include "cli/own_failure.hpp"
#include "cli/preload.hpp"
#include "filter/filter.hpp"
#include "image/images.hpp"
#include "plan/flags.hpp"
#include "target/memory.hpp"
#include "target/namespaces.hpp"
#include "target/tracee.hpp"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>

namespace clone2::cli
{

namespace
{

Result<void> probe_ptrace()
{
    auto [here, there] = make_socket_pair();
    const pid_t child = ::fork();
    if (child == 0) {
        here.reset();
        (void)receive_value<char>(there);
        ::_exit(0);
    }
    if (child < 0) {
        return last_error("fork()");
    }
    Result<void> result;
    if (const Result<Tracee> tracee = Tracee::seize(child); !tracee) {
        result = tracee.error();
    } else {
        ::kill(child, SIGKILL); // if waiting for its stop is refused, nothing else would end it
    }
    here.reset();
    ::waitpid(child, nullptr, 0);
    return result;
}

std::string privilege()
{
    const std::uint64_t capabilities = effective_capabilities(0);
    if ((capabilities & CAPABILITY(CAP_SYS_ADMIN)) != 0) {
        return "CAP_SYS_ADMIN";
    }
    if ((capabilities & CAPABILITY(CAP_CHECKPOINT_RESTORE)) != 0) {
        return "CAP_CHECKPOINT_RESTORE";
    }
    return {};
}

Feature notification_feature(const ListenerProbe &probe)
{
    if (probe.failure.err != 0) {
        return {"notification", false, true, probe.failure.to_string(),
                "no program can be supervised from here"};
    }
    return {"notification", true, true, "works", "calls can be caught"};
}

Feature loop_feature(LoopChoice choice)
{
    Feature feature{"io_uring", true, choice == LoopChoice::io_uring, "", ""};
    try {
        feature.found = make_event_loop(LoopChoice::io_uring)->name() + std::string(" works");
        feature.consequence =
            feature.required ? "used, as requested" : "not used unless requested (--event-loop)";
    } catch (const std::system_error &error) {
        feature.present = false;
        feature.found = error.what();
        feature.consequence =
            feature.required ? "no program can be supervised with it" : "epoll is used";
    }
    return feature;
}

Feature epoll_feature(LoopChoice choice)
{
    Feature feature{"epoll", true, choice != LoopChoice::io_uring, "works", "calls are waited for"};
    try {
        (void)make_event_loop(LoopChoice::epoll);
    } catch (const std::system_error &error) {
        feature.present = false;
        feature.found = error.what();
        feature.consequence = feature.required ? "no program can be supervised from here (but see "
                                                 "--event-loop=io_uring)"
                                               : "not used";
    }
    return feature;
}

Feature room_feature()
{
    int word = 0;
    const RemotePtr own{reinterpret_cast<std::uint64_t>(&word)};
    if (const Result<void> read = read_exactly(::getpid(), own, bytes_of(word)); !read) {
        return {"room", false, true, read.error().to_string(),
                "targets' memory can't be read: calls get " + errno_name(read.error().err)};
    }
    Feature feature{"room", false, true, "", ""};
    try {
        const Images images(std::make_shared<const Procfs>());
        const auto place = images.place(::getpid(), native_architecture());
        feature.present = place.has_value();
        feature.found = place ? "the end of a page is free for the trampoline"
                        : place.error().cause == Cause::no_room ? "no room found"
                                                                : place.error().to_string();
        feature.consequence = place ? "programs can be booted"
                                    : "calls get " + errno_name(place.error().errno_for_target());
    } catch (const std::system_error &error) {
        feature.found = error.what();
        feature.consequence = "no program can be supervised from here";
    }
    return feature;
}

Feature native_feature()
{
    const std::string call = "system call " + std::to_string(standard_call.number);
    // In a child, because a filter here may kill a process that calls an unknown number.
    const Result<KernelClone2> seen =
        in_child<KernelClone2>([] { return probe_kernel_clone2(standard_call.number); });
    if (!seen && seen.error().cause == Cause::child_killed) {
        return {"native", false, false, call + " kills its caller", "see number"};
    }
    if (!seen) {
        return {"native", false, false, "unknown: " + seen.error().to_string(), "see calls"};
    }
    switch (*seen) {
    case KernelClone2::present:
        return {"native", true, false, "the kernel has clone2, " + call,
                "this number is left to the kernel, other numbers (--nr) are passed to it"};
    case KernelClone2::behind_filter:
        return {"native", true, false, call + " is answered, by the kernel or by a supervisor",
                "programs have clone2 here without clone2-supervise"};
    case KernelClone2::absent:
        break;
    }
    return {"native", false, false, call + " does not exist", "programs need clone2-supervise"};
}

Feature preload_feature()
{
    const std::optional<std::string> library = find_preload_library();
    return {"preload", library.has_value(), false, library.value_or("libclone2.so.1 is not here"),
            library ? "--preload can serve libc's syscall() inside the program"
                    : "--preload can't be used"};
}

Feature descriptors_feature()
{
    const Result<void> room = try_room_for_descriptors();
    return {"descriptors", room.has_value(), true,
            room ? "enough can be opened" : reason_of(room.error()),
            room ? "our own processes can work" : "no program can be supervised from here"};
}

Feature calls_feature()
{
    const Result<void> needed = try_needed_calls();
    return {"calls", needed.has_value(), true,
            needed ? "no system call that we need is refused" : needed.error().to_string(),
            needed ? "our own processes can work"
                   : "a filter blocks this command: no program can be supervised from here"};
}

Feature ptrace_feature()
{
    const Result<void> probed = probe_ptrace();
    return {"ptrace", probed.has_value(), true,
            probed ? "descendants can be traced" : probed.error().to_string(),
            probed ? "targets can be redirected" : "calls get " + errno_name(probed.error().err)};
}

Feature userns_feature()
{
    const Result<int> err = in_child<int>([] { return ::unshare(CLONE_NEWUSER) == 0 ? 0 : errno; });
    const bool works = err && *err == 0;
    const Error refusal = err ? Error{"unshare(CLONE_NEWUSER)", 0, *err} : err.error();
    return {"userns", works, false,
            works ? "user namespaces can be made" : "refused: " + refusal.to_string(),
            works ? "--pidns works without privilege" : "--pidns needs CAP_SYS_ADMIN"};
}

std::string describe_privilege(const std::string &capability)
{
    return capability.empty() ? "neither CAP_SYS_ADMIN nor CAP_CHECKPOINT_RESTORE"
                              : "has " + capability;
}

} // namespace

std::vector<Feature> probe_features(const Check &check)
{
    const ListenerProbe listener = probe_listener(build_filter(CallTable()));
    const int level = nesting_level();
    const std::string capability = privilege();
    const bool shares = share_memory(::getpid(), ::getpid()).has_value();

    std::vector<Feature> features;
    features.push_back(descriptors_feature());
    features.push_back(calls_feature());
    const bool can_work = features[0].present && features[1].present;
    features.push_back(notification_feature(listener));
    for (const TrappedCall &call : check.calls.calls()) {
        if (call.arch == standard_call.arch) { // others can't be made from here
            features.push_back(number_feature(call));
        }
    }
    for (Feature &form : form_features(check.calls, can_work)) {
        features.push_back(std::move(form));
    }
    features.push_back({"wait_killable", listener.wait_killable, false,
                        listener.wait_killable ? "WAIT_KILLABLE_RECV works (5.19)" : "missing",
                        listener.wait_killable
                            ? "a signal ends a call with EINTR only before it is received"
                            : "a signal may end a call with EINTR at any time"});
    features.push_back({"sync_wake_up", listener.sync_wake_up, false,
                        listener.sync_wake_up ? "works (6.6)" : "missing",
                        listener.sync_wake_up ? "calls are answered with fewer CPU migrations"
                                              : "calls are somewhat slower"});
    const std::string clone3 = clone3_refusal();
    const std::string no_set_tid = clone3.empty() ? "clone3 refuses set_tid" : clone3;
    features.push_back({"set_tid", level >= 0, true,
                        level >= 0 ? "clone3 accepts chosen pids" : no_set_tid,
                        level >= 0 ? "pids can be chosen" : "no pid can be chosen"});
    features.push_back(
        {"nesting", level >= 0, false,
         level >= 0 ? "pid namespace level " + std::to_string(level) : "unknown",
         level >= 0 ? "a call made from here may name up to " + std::to_string(level + 1) + " pids"
                    : "unknown how many pids a call may name"});
    features.push_back(ptrace_feature());
    features.push_back(room_feature());
    features.push_back({"kcmp", shares, false, shares ? "works" : "missing",
                        shares ? "slots inherited by fork are reused"
                               : "slots inherited by fork stay in use; a process has some 800"});
    features.push_back(epoll_feature(check.loop));
    features.push_back(loop_feature(check.loop));
    features.push_back({"privilege", !capability.empty(), false, describe_privilege(capability),
                        capability.empty() ? "programs may call clone2 with nr_pids = 0 only; use "
                                             "--pidns"
                                           : "programs that also have it may choose pids"});
    const bool already = ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
    const bool no_new_privs = already || listener.no_new_privs;
    features.push_back({"no_new_privs", !no_new_privs, false,
                        already                 ? "is set already"
                        : listener.no_new_privs ? "has to be set"
                                                : "need not be set",
                        no_new_privs ? "set-user-ID programs run without their privilege"
                                     : "set-user-ID programs work"});
    features.push_back(userns_feature());
    features.push_back(native_feature());
    features.push_back(preload_feature());
    features.push_back(agent_feature(check.listen));
    features.push_back({"notify", false, false, "PROGRAM isn't the main process of a systemd unit",
                        "a unit with Type=notify or WatchdogSec= needs NotifyAccess=all"});
    return features;
}

int run_check(const Check &check)
{
    const std::vector<Feature> features = probe_features(check);
    bool good = true;
    bool known = !check.feature;
    auto found = nlohmann::ordered_json::array();
    for (const Feature &feature : features) {
        if (check.feature && *check.feature != feature.name) {
            continue;
        }
        known = true;
        good = good && (feature.present || (!check.feature && !feature.required));
        if (check.json) {
            found.push_back({{"feature", feature.name},
                             {"present", feature.present},
                             {"required", feature.required},
                             {"found", feature.found},
                             {"consequence", feature.consequence}});
            continue;
        }
        const char *const mark = feature.present ? "yes" : "no";
        std::printf("%-22s %-4s %s: %s\n", feature.name.c_str(), mark,
                    printable(feature.found, "").c_str(), feature.consequence.c_str());
    }
    if (!known) {
        std::string names;
        for (const Feature &feature : features) {
            names += " " + feature.name;
        }
        Diagnostics::line("--check: no feature '" + printable(*check.feature) +
                          "'; features:" + names);
        return own_failure;
    }
    if (check.json) {
        std::puts(found.dump(2, ' ', true, nlohmann::json::error_handler_t::replace).c_str());
    }
    if (std::fflush(stdout) != 0) {
        Diagnostics::line("stdout: " + reason(errno));
        return own_failure;
    }
    return good ? 0 : 1;
}

} // namespace clone2::cli
