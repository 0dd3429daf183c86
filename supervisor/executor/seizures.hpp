// SPDX-License-Identifier: MIT
#pragma once

#include "listener/pending_call.hpp"
#include "target/tracee.hpp"

#include <condition_variable>
#include <list>
#include <mutex>
#include <optional>

namespace clone2
{

/// Records which of our threads seize which tids, for the one case in which two want the same one.
///
/// When a thread executes a program, the leader's tid passes to it. A thread of ours that wants the
/// leader then seizes the new program, and learns that from the old notification. It can detach
/// only at a stop, but with WAIT_KILLABLE_RECV the new program does not stop while it waits in its
/// own call. The thread that serves this call can't seize it until then. So that thread answers the
/// call, and the first one has it repeated.
class Seizures
{
public:
    /// A thread of ours that seizes `tid`, while this exists. Create it before PTRACE_SEIZE; it
    /// must outlive the Tracee.
    class Entry
    {
    public:
        Entry(Seizures &all, pid_t tid);
        Entry(const Entry &) = delete;
        Entry &operator=(const Entry &) = delete;
        ~Entry();

        /// Tracee::seize(). If another thread of ours has the caller, waits until that lets go, or
        /// has it repeat the call; then the notification has been answered, and this fails.
        [[nodiscard]] Result<Tracee> seize(const PendingCall &pending, Waiting waiting);
        /// Detaches from a tracee that is not the intended thread.
        void let_go(Tracee &tracee);

    private:
        friend class Seizures;
        /// False: there are none.
        bool wait_for_others(const PendingCall &pending);

        Seizures &all_;
        const pid_t tid_;
        bool wrong_ = false;                ///< must be let go
        std::optional<Notification> again_; ///< the tracee's call that must be repeated
        std::list<Entry *>::iterator place_;
    };

private:
    using Lock = std::unique_lock<std::mutex>;

    [[nodiscard]] Entry *other(const Entry &entry) const;

    std::mutex mutex_; ///< protects all below, and the entries' fields
    std::condition_variable changed_;
    std::list<Entry *> entries_;
};

} // namespace clone2
