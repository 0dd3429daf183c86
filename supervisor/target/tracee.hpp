// SPDX-License-Identifier: MIT
#pragma once

#include "base/remote_ptr.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <span>
#include <sys/types.h>

namespace clone2
{

/// Whether other code in this process waits for children (wait(2)).
enum class Waiting {
    alone, ///< no, and no target is a child of this process: we can sleep until a stop comes
    /// Perhaps. Any wait by any thread of the tracer's process, even one for ends only, consumes
    /// stops of tracees (Linux: wait_task_stopped()), unless it has __WNOTHREAD; and even then
    /// those of the process's own children. So stops are also looked for with ptrace itself, and
    /// the end of a child of this process is left to the code that waits for it.
    shared
};

/// A thread that we trace for a moment (ptrace(2), PTRACE_SEIZE, 3.4).
///
/// A tracee belongs to the *thread* that seized it: create, use and destroy it on one thread, one
/// at a time. All waits for tracees are in here, with __WNOTHREAD, so that no thread takes
/// another's stop.
///
/// A thread group leader can lose its tid: if another thread of its process executes a program, the
/// kernel gives the tid to that thread and discards the leader (de_thread()). ptrace(2) then fails
/// with ESRCH, as for any thread that we do not trace, but a wait for the tid is not woken. So
/// nothing here waits for a tid without a time limit.
///
/// Destruction leaves the target running, whatever has happened: detached, or, if it is dead,
/// reaped so that its real parent learns of the death.
class Tracee
{
public:
    /// PTRACE_SEIZE. EPERM: already traced (strace, gdb), or not permitted (Yama, privilege).
    /// ESRCH: gone.
    static Result<Tracee> seize(pid_t tid, Waiting waiting = Waiting::alone);

    Tracee(Tracee &&other) noexcept;
    Tracee &operator=(Tracee &&) = delete;
    Tracee(const Tracee &) = delete;
    Tracee &operator=(const Tracee &) = delete;
    ~Tracee();

    /// Asks for a stop, which comes when the thread returns towards user mode.
    Result<void> interrupt();
    /// Waits for that stop, without a time limit (a frozen cgroup). ESRCH: it died instead, or an
    /// exec by another thread discarded it.
    Result<void> wait_for_stop();
    /// Resumes it, with the signal whose delivery caused the stop, if any. ESRCH: it died.
    Result<void> detach();

    /// Whether system calls that the thread makes between these addresses would go to its own
    /// SIGSYS handler instead of the kernel (prctl(2), PR_SET_SYSCALL_USER_DISPATCH). Also false if
    /// the kernel can't tell (before 6.4). Only while stopped.
    [[nodiscard]] bool dispatches_calls(RemotePtr begin, RemotePtr end) const;

    /// Writes even to write-protected pages (FOLL_FORCE); only while stopped.
    Result<void> poke_text(RemotePtr to, std::span<const std::byte> from);

    /// Writes only the words that differ from `there`, the contents read before (at least as long).
    /// This is the fastest way to write with ptrace(2), which needs a system call per word.
    Result<void> poke_changes(RemotePtr to, std::span<const std::byte> from,
                              std::span<const std::byte> there);

    [[nodiscard]] pid_t tid() const { return tid_; }

private:
    enum class State { attached, interrupted, stopped, gone };

    /// Which process or thread must collect the end.
    enum class EndFor { tracer, parent_here };

    Tracee(pid_t tid, Waiting waiting, EndFor end) : tid_(tid), waiting_(waiting), end_for_(end) {}

    /// Whether the tid still names our tracee, dead or alive.
    [[nodiscard]] bool is_traced() const;
    [[nodiscard]] bool sleep_until_stop();
    [[nodiscard]] bool look_for_stop();
    void take_end() const;

    pid_t tid_;
    Waiting waiting_;
    EndFor end_for_;
    State state_ = State::attached;
    int signal_ = 0; ///< to be delivered when it resumes
};

} // namespace clone2
