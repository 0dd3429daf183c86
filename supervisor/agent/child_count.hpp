// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "base/procfs.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <sys/types.h>
#include <vector>

namespace clone2::agent
{

/// Counts the live processes created by calls through one listener. It keeps a pidfd for each
/// child; a pidfd becomes readable when its process ends (5.3), even if a zombie remains. A call
/// counts from its admission until its result is known, so that concurrent threads can't exceed the
/// limit.
///
/// A child is missed if its parent is killed between the clone and its report. Thread-safe.
class ChildCount
{
public:
    explicit ChildCount(std::shared_ptr<const Procfs> procfs) : procfs_(std::move(procfs)) {}

    /// Whether `tid`, which waits with this notification, may create one more child; if so, its
    /// call counts as one. Repeated calls for the same thread count once, since a thread has at
    /// most one call in progress.
    [[nodiscard]] bool admit(pid_t tid, std::uint64_t notification, std::uint32_t most);
    /// The call admitted with this notification creates no child. Ignores others: the thread may
    /// have made another call meanwhile.
    void not_made(pid_t tid, std::uint64_t notification);
    /// Records the result of an admitted call: the child's pid in the caller's own pid namespace,
    /// or -errno. Ignores calls that were not admitted.
    void finished(pid_t tid, std::int64_t result, std::uint64_t flags);

private:
    void forget_ended();
    [[nodiscard]] Fd find_child(pid_t parent, pid_t pid, std::uint64_t flags) const;

    std::shared_ptr<const Procfs> procfs_;
    std::mutex mutex_;
    struct Call {
        std::uint64_t notification;
        Fd caller; ///< pidfd; empty: none could be opened, so its tid alone is known
    };
    std::map<pid_t, Call> under_way_; ///< by the caller's tid
    std::vector<Fd> alive_;           ///< pidfds
};

} // namespace clone2::agent
