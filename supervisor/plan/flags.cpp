// SPDX-License-Identifier: MIT
#include "plan/flags.hpp"

#include <array>
#include <csignal>
#include <cstring>
#include <linux/sched.h>
#include <sstream>
#include <utility>

namespace clone2
{

namespace
{

constexpr std::uint64_t exit_signal_mask = 0xff;
constexpr std::uint64_t clone_detached = 0x00400000; // missing from some linux/sched.h

constexpr std::array<std::pair<std::uint64_t, const char *>, 26> names{{
    {CLONE_VM, "CLONE_VM"},
    {CLONE_FS, "CLONE_FS"},
    {CLONE_FILES, "CLONE_FILES"},
    {CLONE_SIGHAND, "CLONE_SIGHAND"},
    {CLONE_PIDFD, "CLONE_PIDFD"},
    {CLONE_PTRACE, "CLONE_PTRACE"},
    {CLONE_VFORK, "CLONE_VFORK"},
    {CLONE_PARENT, "CLONE_PARENT"},
    {CLONE_THREAD, "CLONE_THREAD"},
    {CLONE_NEWNS, "CLONE_NEWNS"},
    {CLONE_SYSVSEM, "CLONE_SYSVSEM"},
    {CLONE_SETTLS, "CLONE_SETTLS"},
    {CLONE_PARENT_SETTID, "CLONE_PARENT_SETTID"},
    {CLONE_CHILD_CLEARTID, "CLONE_CHILD_CLEARTID"},
    {clone_detached, "CLONE_DETACHED"},
    {CLONE_UNTRACED, "CLONE_UNTRACED"},
    {CLONE_CHILD_SETTID, "CLONE_CHILD_SETTID"},
    {CLONE_NEWCGROUP, "CLONE_NEWCGROUP"},
    {CLONE_NEWUTS, "CLONE_NEWUTS"},
    {CLONE_NEWIPC, "CLONE_NEWIPC"},
    {CLONE_NEWUSER, "CLONE_NEWUSER"},
    {CLONE_NEWPID, "CLONE_NEWPID"},
    {CLONE_NEWNET, "CLONE_NEWNET"},
    {CLONE_IO, "CLONE_IO"},
    {CLONE_CLEAR_SIGHAND, "CLONE_CLEAR_SIGHAND"},
    {CLONE_INTO_CGROUP, "CLONE_INTO_CGROUP"},
}};

/// A rule of copy_process() and clone3, in the kernel's order.
struct FlagRule {
    std::uint64_t flag;
    std::uint64_t other;
    bool together; ///< must not be given together; else the flag needs the other
};

constexpr std::array rules{
    FlagRule{CLONE_CLEAR_SIGHAND, CLONE_SIGHAND, true},
    FlagRule{CLONE_NEWNS, CLONE_FS, true},
    FlagRule{CLONE_NEWUSER, CLONE_FS, true},
    FlagRule{CLONE_THREAD, CLONE_SIGHAND, false},
    FlagRule{CLONE_SIGHAND, CLONE_VM, false},
    FlagRule{CLONE_THREAD, CLONE_NEWUSER, true},
    FlagRule{CLONE_THREAD, CLONE_NEWPID, true},
    FlagRule{CLONE_NEWIPC, CLONE_SYSVSEM, true},
    FlagRule{CLONE_PIDFD, CLONE_PARENT_SETTID, true}, // in clone(2): one field for both
    FlagRule{CLONE_PIDFD, clone_detached, true},
    FlagRule{CLONE_PIDFD, CLONE_THREAD, true}, // before 6.9
};

} // namespace

std::string conflict_of_flags(std::uint64_t flags)
{
    for (const auto &[flag, other, together] : rules) {
        if ((flags & flag) != 0 && ((flags & other) != 0) == together) {
            return describe_flags(flag) + (together ? " can't be used with " : " needs ") +
                   describe_flags(other);
        }
    }
    // Only for some callers.
    for (const auto &[flag, why] :
         {std::pair{CLONE_PARENT, "CLONE_PARENT can't be used by the init of a pid namespace"},
          std::pair{CLONE_THREAD, "CLONE_THREAD can't be used after unshare(CLONE_NEWPID)"}}) {
        if ((flags & static_cast<std::uint64_t>(flag)) != 0) {
            return why;
        }
    }
    return {};
}

std::vector<std::string> flag_names(std::uint64_t flags)
{
    std::vector<std::string> found;
    std::uint64_t rest = flags & ~exit_signal_mask;
    for (const auto &[bit, name] : names) {
        if ((rest & bit) != 0) {
            found.emplace_back(name);
            rest &= ~bit;
        }
    }
    if (rest != 0) {
        std::ostringstream text;
        text << "0x" << std::hex << rest;
        found.push_back(text.str());
    }
    return found;
}

std::optional<std::uint64_t> flag_by_name(std::string_view name)
{
    for (const auto &[bit, its_name] : names) {
        if (name == its_name) {
            return bit;
        }
    }
    return std::nullopt;
}

std::string describe_flags(std::uint64_t flags)
{
    std::string text;
    for (const std::string &name : flag_names(flags)) {
        text += (text.empty() ? "" : "|") + name;
    }
    const auto signal = static_cast<unsigned>(flags & exit_signal_mask);
    if (signal != 0) {
        text += (text.empty() ? "" : "|") + signal_name(signal);
    }
    return text.empty() ? "0" : text;
}

std::string errno_name(int err)
{
    const char *const name = ::strerrorname_np(err);
    return name != nullptr ? name : "errno " + std::to_string(err);
}

std::string signal_name(unsigned signal)
{
    const char *const name = ::sigabbrev_np(static_cast<int>(signal));
    if (name != nullptr) {
        return std::string("SIG") + name;
    }
    if (signal == 32) {
        return "SIGRTMIN"; // the kernel's, not glibc's
    }
    if (signal > 32 && signal <= 64) {
        return "SIGRT_" + std::to_string(signal - 32);
    }
    return std::to_string(signal);
}

} // namespace clone2
