// SPDX-License-Identifier: MIT
#include "cli/check.hpp"

#include "base/printable.hpp"
#include "base/procfs.hpp"
#include "cli/check_sandbox.hpp"
#include "cli/wire.hpp"
#include "executor/images.hpp"
#include "executor/tracee.hpp"
#include "listener/filter.hpp"
#include "listener/listener.hpp"
#include "target/namespaces.hpp"

#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <system_error>

namespace clone2::cli
{

namespace
{

constexpr unsigned cap_checkpoint_restore = 40; // 5.9

std::string reason(int err)
{
    return std::generic_category().message(err);
}

/// Runs `probe` in a child, which may do lasting things to itself. Its result, 0..255.
int in_child(const std::function<int()> &probe)
{
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(probe());
    }
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
        return EIO;
    }
    return WEXITSTATUS(status);
}

/// The listener that a child of ours can install, as install_filter() tells it.
struct ListenerProbe {
    int err = 0;
    bool wait_killable = false;
    bool no_new_privs = false;
    bool sync_wake_up = false;
};

ListenerProbe probe_listener()
{
    ListenerProbe probe;
    const auto filter = build_filter(default_nr);
    if (!filter) {
        probe.err = filter.error().err;
        return probe;
    }
    auto [here, there] = make_socket_pair();
    (void)in_child([&filter, &socket = there] {
        ListenerProbe seen;
        const InstalledFilter installed = install_filter(*filter);
        if (installed.listener < 0) {
            seen.err = -installed.listener;
        } else {
            constexpr std::uint64_t sync_wake_up = 1;
            constexpr unsigned long set_flags = _IOW('!', 4, std::uint64_t);
            seen.wait_killable = installed.wait_killable;
            seen.no_new_privs = installed.no_new_privs;
            seen.sync_wake_up = ::ioctl(installed.listener, set_flags, sync_wake_up) == 0;
        }
        return send_value(socket, seen) ? 0 : 1;
    });
    there.reset();
    return receive_value<ListenerProbe>(here).value_or(ListenerProbe{EIO, false, false, false});
}

int probe_ptrace()
{
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    if (child < 0) {
        return errno;
    }
    int err = 0;
    {
        const Result<Tracee> tracee = Tracee::seize(child);
        err = tracee ? 0 : tracee.error().err;
        ::kill(child, SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
    return err;
}

std::string privilege()
{
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    ::syscall(SYS_capget, &header, data.data());
    if ((data[0].effective & (1U << CAP_SYS_ADMIN)) != 0) {
        return "CAP_SYS_ADMIN";
    }
    if ((data[1].effective & (1U << (cap_checkpoint_restore - 32))) != 0) {
        return "CAP_CHECKPOINT_RESTORE";
    }
    return {};
}

Feature notification_feature(const ListenerProbe &probe)
{
    Feature feature{"notification", probe.err == 0, true, "works", "calls can be caught"};
    if (probe.err == EBUSY) {
        feature.found = "this process is under a seccomp listener already";
    } else if (probe.err != 0) {
        feature.found = reason(probe.err);
    }
    if (probe.err != 0) {
        feature.consequence = "no program can be supervised from here";
    }
    return feature;
}

Feature loop_feature(LoopChoice choice)
{
    Feature feature{"io_uring", true, false, "", ""};
    try {
        feature.found = make_event_loop(LoopChoice::io_uring)->name() + std::string(" works");
        feature.consequence = choice == LoopChoice::io_uring
                                  ? "used as asked for"
                                  : "not used unless asked for (--event-loop); epoll is";
    } catch (const std::system_error &error) {
        feature.present = false;
        feature.found = "refused: " + reason(error.code().value());
        feature.consequence = "epoll is used";
    }
    return feature;
}

Feature room_feature()
{
    Feature feature{"room", false, true, "", ""};
    try {
        const Procfs procfs;
        const auto place = find_code_place(procfs, ::getpid());
        feature.present = place.has_value();
        feature.found = place ? "a page's tail is free for the trampoline" : "no room found";
        feature.consequence = place ? "programs can be booted" : "calls get ENOSYS";
    } catch (const std::system_error &error) {
        feature.found = error.what();
        feature.consequence = "no program can be supervised from here";
    }
    return feature;
}

Feature native_feature()
{
    const std::string call = "system call " + std::to_string(clone2_nr);
    // Not in this process: a filter here may kill whoever calls an unknown number.
    const int seen = in_child([] { return static_cast<int>(probe_kernel_clone2()); });
    if (seen == EIO) {
        return {"native", false, false, call + " kills its caller", "see number"};
    }
    switch (static_cast<KernelClone2>(seen)) {
    case KernelClone2::present:
        return {"native", true, false, "the kernel has clone2, " + call,
                "that number is left to it, calls by another (--nr) are passed to it"};
    case KernelClone2::behind_filter:
        return {"native", true, false, call + " is answered, by the kernel or by a supervisor",
                "programs have clone2 here without clone2-supervise"};
    case KernelClone2::absent:
        break;
    }
    return {"native", false, false, call + " does not exist", "programs need clone2-supervise"};
}

std::string describe_privilege(const std::string &capability)
{
    return capability.empty() ? "neither CAP_SYS_ADMIN nor CAP_CHECKPOINT_RESTORE"
                              : "has " + capability;
}

} // namespace

std::vector<Feature> probe_features(const Check &check)
{
    const ListenerProbe listener = probe_listener();
    const int level = probe_nesting_level();
    const int ptrace_error = probe_ptrace();
    const std::string capability = privilege();
    const bool shares = share_memory(::getpid(), ::getpid()).has_value();
    const bool userns = in_child([] { return ::unshare(CLONE_NEWUSER) == 0 ? 0 : 1; }) == 0;

    std::vector<Feature> features;
    features.push_back(notification_feature(listener));
    features.push_back(number_feature());
    features.push_back({"wait_killable", listener.wait_killable, false,
                        listener.wait_killable ? "WAIT_KILLABLE_RECV works (5.19)" : "missing",
                        listener.wait_killable
                            ? "a signal ends a call with EINTR only before we have seen it"
                            : "a signal may end a call with EINTR at any time"});
    features.push_back({"sync_wake_up", listener.sync_wake_up, false,
                        listener.sync_wake_up ? "works (6.6)" : "missing",
                        listener.sync_wake_up ? "calls are answered with fewer CPU migrations"
                                              : "calls are somewhat slower"});
    const std::string clone3 = clone3_refusal();
    const std::string no_set_tid = clone3.empty() ? "clone3 refuses set_tid" : clone3;
    features.push_back({"set_tid", level >= 0, true,
                        level >= 0 ? "clone3 takes chosen pids" : no_set_tid,
                        level >= 0 ? "pids can be chosen" : "no pid can be chosen"});
    features.push_back(
        {"nesting", level >= 0, false,
         level >= 0 ? "pid namespace level " + std::to_string(level) : "unknown",
         level >= 0 ? "a call made from here may name up to " + std::to_string(level + 1) + " pids"
                    : "unknown how many pids a call may name"});
    features.push_back(
        {"ptrace", ptrace_error == 0, true,
         ptrace_error == 0 ? "descendants can be traced" : reason(ptrace_error),
         ptrace_error == 0 ? "targets can be sent into the call" : "calls get EPERM"});
    features.push_back(room_feature());
    features.push_back({"kcmp", shares, false, shares ? "works" : "missing",
                        shares ? "slots inherited by fork are found and used again"
                               : "a process has some 800 calls in fork children of callers"});
    features.push_back(loop_feature(check.loop));
    features.push_back({"privilege", !capability.empty(), false, describe_privilege(capability),
                        capability.empty() ? "programs may call clone2 with nr_pids = 0 only; use "
                                             "--pidns"
                                           : "programs that have it, too, may choose pids"});
    features.push_back({"no_new_privs", !listener.no_new_privs, false,
                        listener.no_new_privs ? "has to be set" : "need not be set",
                        listener.no_new_privs ? "set-user-ID programs run without their privilege"
                                              : "set-user-ID programs work"});
    features.push_back(
        {"userns", userns, false, userns ? "user namespaces can be made" : "refused",
         userns ? "--pidns works without privilege" : "--pidns needs CAP_SYS_ADMIN"});
    features.push_back(native_feature());
    features.push_back(agent_feature(check.listen));
    return features;
}

int run_check(const Check &check)
{
    const std::vector<Feature> features = probe_features(check);
    bool good = true;
    bool known = !check.feature;
    for (const Feature &feature : features) {
        if (check.feature && *check.feature != feature.name) {
            continue;
        }
        known = true;
        const char *const mark = feature.present ? "yes" : "no";
        std::printf("%-14s %-4s %s: %s\n", feature.name.c_str(), mark, feature.found.c_str(),
                    feature.consequence.c_str());
        good = good && (feature.present || (!check.feature && !feature.required));
    }
    if (!known) {
        std::string names;
        for (const Feature &feature : features) {
            names += " " + feature.name;
        }
        std::fprintf(stderr, "clone2-supervise: --check: no feature '%s'; there are:%s\n",
                     printable(*check.feature).c_str(), names.c_str());
        return own_failure;
    }
    if (std::fflush(stdout) != 0) {
        std::fprintf(stderr, "clone2-supervise: stdout: %s\n", reason(errno).c_str());
        return own_failure;
    }
    return good ? 0 : 1;
}

} // namespace clone2::cli
