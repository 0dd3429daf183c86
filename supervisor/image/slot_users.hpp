// SPDX-License-Identifier: MIT
#pragma once

#include "base/remote_ptr.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace clone2
{

/// Whether two threads share their memory (kcmp(2)). ESRCH if one is gone.
[[nodiscard]] Result<bool> share_memory(pid_t one, pid_t other);
/// share_memory(), or what a test has in its place.
using SharesMemory = std::function<Result<bool>(pid_t one, pid_t other)>;

/// Records which threads use which of a code place's slots (boot slots or spare slots).
/// Thread-safe.
///
/// A thread may use several at once, because a signal handler that calls clone2 may run in between.
/// A thread that never reports back (it left by longjmp, another thread called exec) keeps its slot
/// until it is gone, needs the slot itself, or needs one in another program: a tid stays the same
/// through any number of programs.
class SlotUsers
{
public:
    explicit SlotUsers(SharesMemory shares = share_memory) : shares_memory_(std::move(shares)) {}

    /// Assigns to `tid` one of `slots` that no other thread in the same address space uses.
    /// nullopt: other threads use all of them. `page_size`: a program's slots are all within one
    /// page of this size.
    [[nodiscard]] std::optional<RemotePtr> begin(pid_t tid, std::span<const RemotePtr> slots,
                                                 std::uint64_t page_size);
    /// The thread no longer uses it.
    void end(pid_t tid, RemotePtr slot);

private:
    struct User {
        pid_t tid = 0;
        RemotePtr slot;
    };
    /// With the lock held. `shares`: whether these threads share the caller's memory.
    std::optional<RemotePtr> choose(pid_t tid, std::span<const RemotePtr> slots,
                                    std::uint64_t page_size,
                                    const std::map<pid_t, Result<bool>> &shares);

    const SharesMemory shares_memory_;
    std::mutex mutex_;
    std::vector<User> users_; ///< oldest first
};

/// Those of `slots` that `tid` may get according to their own contents: each names, at
/// `owner_offset`, the thread that uses it. An earlier supervisor may have given it out, and
/// SlotUsers does not know that. Slots of `tid` itself come last: one of its signal handlers may
/// have interrupted their use.
[[nodiscard]] std::vector<RemotePtr> unowned_slots(pid_t tid, std::span<const RemotePtr> slots,
                                                   std::uint64_t owner_offset);

} // namespace clone2
