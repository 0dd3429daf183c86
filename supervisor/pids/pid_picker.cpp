// SPDX-License-Identifier: MIT
#include "pids/pid_picker.hpp"

#include "base/pid_list.hpp"

#include <vector>

namespace clone2
{

namespace
{

constexpr std::size_t remembered_namespaces = 1024;

} // namespace

pid_t PidPicker::next(std::uint64_t inode, pid_t fallback, const Used &used)
{
    const pid_t pid_max = read_pid_max();
    const std::lock_guard lock(mutex_);
    if (last_.size() > remembered_namespaces) {
        last_.clear(); // only hints
    }
    const auto known = last_.find(inode);
    pid_t pid = known != last_.end() ? known->second : fallback;
    for (pid_t tried = 0; tried < pid_max; ++tried) {
        pid = pid + 1 < pid_max ? pid + 1 : first_after_wrap;
        if (!used.contains(pid)) {
            break;
        }
    }
    last_[inode] = pid;
    return pid;
}

void PidPicker::pick(pid_t tid, const TargetNamespaces &target, std::uint64_t to_pick,
                     unsigned extra, std::span<pid_t> set_tid)
{
    const std::vector<pid_t> own = pid_list(procfs_->status_field(tid, "NSpid").value_or(""));
    for (std::size_t i = 0; i < set_tid.size(); ++i) {
        if ((to_pick & (1ULL << i)) == 0) {
            continue;
        }
        const std::size_t at = i - extra;
        if (at < target.chain.size() && !target.chain[at].fd) {
            set_tid[i] = 1; // a namespace without an init: its first process gets pid 1
            continue;
        }
        const std::size_t depth = target.chain.size() - 1 - at;
        const bool visible = at < target.chain.size();
        const pid_t fallback = visible && depth < own.size() ? own[depth] : first_after_wrap;
        set_tid[i] = next(visible ? target.chain[at].inode : 0, fallback, {});
    }
}

PidPicker::Used PidPicker::used_in(const PlaceInChain &place) const
{
    Used used;
    find_pid_users(*procfs_, place, [&](PidUse /*use*/, pid_t pid, pid_t /*task*/) {
        used.insert(pid);
        return false;
    });
    return used;
}

pid_t PidPicker::repick(const TargetNamespaces &target, std::uint64_t to_pick, unsigned extra,
                        std::span<pid_t> set_tid)
{
    std::vector<Used> used(set_tid.size());
    for (std::size_t i = extra; i < set_tid.size(); ++i) {
        const std::size_t at = i - extra;
        if (at >= target.chain.size() || !target.chain[at].fd) {
            continue;
        }
        used[i] = used_in(PlaceInChain(target, at));
        if ((to_pick & (1ULL << i)) == 0 && used[i].contains(set_tid[i])) {
            return set_tid[i];
        }
    }
    for (std::size_t i = extra; i < set_tid.size(); ++i) {
        const std::size_t at = i - extra;
        if ((to_pick & (1ULL << i)) != 0 && (at >= target.chain.size() || target.chain[at].fd)) {
            set_tid[i] = next(at < target.chain.size() ? target.chain[at].inode : 0,
                              first_after_wrap, used[i]);
        }
    }
    return 0;
}

} // namespace clone2
