// SPDX-License-Identifier: MIT
#include "pids/culprit.hpp"

#include "base/kernel_limits.hpp"
#include "pids/pid_users.hpp"

#include <cstddef>
#include <optional>

namespace clone2
{

namespace
{

/// "pid 77 at level 1".
std::string name_of(const TargetNamespaces &target, std::size_t at, pid_t pid)
{
    return "pid " + std::to_string(pid) + " at level " + std::to_string(target.level - at);
}

} // namespace

std::string pid_in_use(const Procfs &procfs, const TargetNamespaces &target, unsigned extra,
                       std::span<const pid_t> set_tid)
{
    for (std::size_t i = extra; i < set_tid.size(); ++i) {
        const std::size_t at = i - extra;
        if (set_tid[i] == 0 || at >= target.chain.size() || !target.chain[at].fd) {
            continue;
        }
        const std::optional<std::string> user =
            describe_pid_user(procfs, PlaceInChain(target, at), set_tid[i]);
        if (user) {
            return name_of(target, at, set_tid[i]) + " is in use, now by " + *user;
        }
    }
    if (set_tid.size() == extra + 1U) {
        return name_of(target, 0, set_tid[extra]) +
               " was in use, but nothing is seen to use it now";
    }
    return "a pid asked for is in use";
}

std::string pid_out_of_range(const TargetNamespaces &target, unsigned extra,
                             std::span<const pid_t> set_tid)
{
    const pid_t highest_here = read_pid_max() - 1;
    for (std::size_t i = extra; i < set_tid.size(); ++i) {
        const std::size_t at = i - extra;
        const pid_t pid = set_tid[i];
        if (pid == 0 || at > target.level) {
            continue;
        }
        // Each namespace may have a limit of its own (6.14), and only ours can be read.
        const bool ours = at + 1 == target.chain.size();
        const pid_t highest = ours ? highest_here : static_cast<pid_t>(highest_pid - 1);
        if (pid < 0 || pid > highest) {
            return name_of(target, at, pid) + " is out of range (1.." + std::to_string(highest) +
                   ")";
        }
        if (at < target.chain.size() && !target.chain[at].fd && pid != 1) {
            return name_of(target, at, pid) +
                   " is out of range: the first process of a new pid namespace gets 1";
        }
    }
    return {};
}

} // namespace clone2
