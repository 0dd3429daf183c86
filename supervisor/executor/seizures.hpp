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

/// Which threads of ours seize which tids, for the one case in which two want the same.
///
/// When a thread executes a program, the leader's tid passes to it. A thread of ours that means the
/// leader then seizes the new program, and learns of that from the old notification. It can detach
/// only at a stop, and with WAIT_KILLABLE_RECV the new program does not stop while it waits in a
/// call of its own: the one that serves that call can't seize it meanwhile. So the latter answers
/// the call, and the former has it made again.
class Seizures
{
public:
    /// A thread of ours that seizes `tid`, as long as this lives: to be made before PTRACE_SEIZE,
    /// and to outlive the Tracee.
    class Entry
    {
    public:
        Entry(Seizures &all, pid_t tid);
        Entry(const Entry &) = delete;
        Entry &operator=(const Entry &) = delete;
        ~Entry();

        /// Tracee::seize(). Where another thread of ours has the caller, waits until it has let go,
        /// or has it make the call again; then the notification is answered, and this fails.
        [[nodiscard]] Result<Tracee> seize(const PendingCall &pending, Waiting waiting);
        /// Detaches from a tracee that is not the thread that was meant.
        void let_go(Tracee &tracee);

    private:
        friend class Seizures;
        /// False: there are none.
        bool wait_for_others(const PendingCall &pending);

        Seizures &all_;
        const pid_t tid_;
        bool wrong_ = false;                ///< to be let go
        std::optional<Notification> again_; ///< the tracee's call that is to be made again
        std::list<Entry *>::iterator place_;
    };

private:
    using Lock = std::unique_lock<std::mutex>;

    [[nodiscard]] Entry *other(const Entry &entry) const;

    std::mutex mutex_; ///< for all below, and what entries say
    std::condition_variable changed_;
    std::list<Entry *> entries_;
};

} // namespace clone2
