// SPDX-License-Identifier: MIT
#include "pids/pid_picker.hpp"

#include "base/pid_list.hpp"

#include <algorithm>
#include <vector>

namespace clone2
{

namespace
{

constexpr std::size_t remembered_namespaces = 1024;

/// The entry's namespace; 0 for all that can't be seen from here.
std::uint64_t inode_at(const TargetNamespaces &target, std::size_t at)
{
    return at < target.chain.size() ? target.chain[at].inode : 0;
}

} // namespace

std::optional<pid_t> PidPicker::next(std::uint64_t inode, pid_t fallback, const Used &used)
{
    const pid_t pid_max = read_pid_max();
    const std::lock_guard lock(mutex_);
    if (counters_.size() > remembered_namespaces) {
        counters_.clear();
    }
    Counter &counter = counters_.try_emplace(inode, Counter{fallback}).first->second;
    const pid_t end = counter.too_high != 0 ? std::min(counter.too_high, pid_max) : pid_max;
    pid_t pid = counter.last;
    for (pid_t tried = 0; tried < end; ++tried) {
        pid = pid + 1 < end ? pid + 1 : first_after_wrap;
        if (!used.contains(pid)) {
            counter.last = pid;
            return pid;
        }
    }
    counter.too_high = 0; // the limit may have been raised: the next call tries higher ones
    return std::nullopt;
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
        set_tid[i] = next(inode_at(target, at), fallback, {}).value_or(first_after_wrap);
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

std::optional<pid_t> PidPicker::repick(const TargetNamespaces &target, std::uint64_t to_pick,
                                       unsigned extra, std::span<pid_t> set_tid)
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
            const std::optional<pid_t> free = next(inode_at(target, at), first_after_wrap, used[i]);
            if (!free) {
                return std::nullopt;
            }
            set_tid[i] = *free;
        }
    }
    return 0;
}

bool PidPicker::wrap(const TargetNamespaces &target, std::uint64_t to_pick, unsigned extra,
                     std::span<pid_t> set_tid)
{
    for (std::size_t i = extra; i < set_tid.size(); ++i) {
        const bool ours = i - extra + 1 == target.chain.size(); // its pid_max was read
        // Every pid_max is above the first pid after a wrap.
        if ((to_pick & (1ULL << i)) != 0 && !ours && set_tid[i] > first_after_wrap) {
            const std::lock_guard lock(mutex_);
            counters_[inode_at(target, i - extra)] = {first_after_wrap, set_tid[i]};
            set_tid[i] = first_after_wrap;
            return true;
        }
    }
    return false;
}

void PidPicker::unwrap(const TargetNamespaces &target, std::uint64_t to_pick, unsigned extra,
                       std::span<const pid_t> set_tid)
{
    for (std::size_t i = extra; i < set_tid.size(); ++i) {
        const std::lock_guard lock(mutex_);
        const auto counter = counters_.find(inode_at(target, i - extra));
        if ((to_pick & (1ULL << i)) != 0 && set_tid[i] == first_after_wrap &&
            counter != counters_.end() && counter->second.too_high != 0) {
            counter->second = {counter->second.too_high - 1, 0};
        }
    }
}

} // namespace clone2
