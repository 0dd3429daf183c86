// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "base/procfs.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <sys/types.h>
#include <vector>

namespace clone2::agent
{

/// Counts the processes that calls through one listener have made and that are alive: for each
/// child a pidfd, which becomes readable when it ends (5.3), zombies included. A call under way
/// counts from the moment it is admitted until its result is known, so that several threads
/// can't pass the limit together.
///
/// A child whose parent is killed between the clone and its report is missed. Thread-safe.
class ChildCount
{
public:
    explicit ChildCount(std::shared_ptr<const Procfs> procfs) : procfs_(std::move(procfs)) {}

    /// Whether a call of `tid` may make one more: then it counts as one. Asked again for the same
    /// thread it counts once: a thread has one call under way.
    [[nodiscard]] bool admit(pid_t tid, std::uint32_t most);
    /// What became of an admitted call: the child's pid in the caller's own pid namespace, or
    /// -errno. Of a call that was not admitted nothing is recorded.
    void finished(pid_t tid, std::int64_t result, std::uint64_t flags);

private:
    void forget_ended();
    [[nodiscard]] Fd find_child(pid_t parent, pid_t pid, std::uint64_t flags) const;

    std::shared_ptr<const Procfs> procfs_;
    std::mutex mutex_;
    std::set<pid_t> under_way_; ///< callers' tids
    std::vector<Fd> alive_;     ///< pidfds
};

} // namespace clone2::agent
