// SPDX-License-Identifier: MIT
#pragma once

#include "base/remote_ptr.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <sys/types.h>
#include <vector>

namespace clone2
{

/// Which threads use which of a code place's slots, boot slots or spare slots. Thread-safe.
///
/// A thread may use several at once: a signal handler that calls clone2 can come in between. One
/// that never reports back (it left by longjmp, another thread called exec) keeps its slot until
/// it is gone, until it needs the slot itself, or until it needs one in another program: a tid
/// stays the same through any number of those.
class SlotUsers
{
public:
    /// A slot for `tid` that no other thread of the same address space uses: one of `slots`.
    /// nullopt: all are in use by other threads.
    /// `page_size`: a program has all its slots within one page of so many bytes.
    [[nodiscard]] std::optional<RemotePtr> begin(pid_t tid, std::span<const RemotePtr> slots,
                                                 std::uint64_t page_size);
    /// The thread has no more use for it.
    void end(pid_t tid, RemotePtr slot);

private:
    struct User {
        pid_t tid = 0;
        RemotePtr slot;
    };
    std::mutex mutex_;
    std::vector<User> users_; ///< oldest first
};

/// Those of `slots` that `tid` may be given as far as they themselves say: each names, at
/// `owner_offset`, the thread that uses it. An earlier supervisor may have given it away, and
/// SlotUsers knows nothing of that. Those of `tid` itself come last: a signal handler of it may
/// have interrupted their use.
[[nodiscard]] std::vector<RemotePtr> unowned_slots(pid_t tid, std::span<const RemotePtr> slots,
                                                   std::uint64_t owner_offset);

/// Whether two threads share their memory (kcmp(2)). ESRCH where one is gone.
[[nodiscard]] Result<bool> share_memory(pid_t one, pid_t other);

} // namespace clone2
