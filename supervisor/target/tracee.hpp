// SPDX-License-Identifier: MIT
#pragma once

#include "base/remote_ptr.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <span>
#include <sys/types.h>

namespace clone2
{

/// Whether something else in this process waits for children (wait(2)).
enum class Waiting {
    alone, ///< no, and no target is a child of this process: we can sleep until a stop comes
    /// Perhaps. Any wait of any thread of a tracer's process, even one for ends only, takes stops
    /// of tracees (Linux: wait_task_stopped()) unless it has __WNOTHREAD, and even then those of
    /// the process's own children. So a stop is looked for by ptrace itself, too, and the end of
    /// a child of this process is left to whoever waits for it.
    shared
};

/// A thread that we trace for a moment (ptrace(2), PTRACE_SEIZE, 3.4).
///
/// A tracee belongs to the *thread* that seized it: create, use and destroy on one thread, and one
/// at a time. All waiting for tracees is in here, with __WNOTHREAD, so that no thread takes
/// another's stop.
///
/// A thread group leader can lose its tid: when another thread of its process executes a program,
/// the kernel gives the tid to that thread and discards the leader (de_thread()). ptrace(2) then
/// answers ESRCH, as for any thread that we do not trace; a wait for the tid is not woken. So
/// nothing here waits for a tid without an end.
///
/// Destruction leaves the target running, whatever has happened: detached, or reaped as a dead
/// tracee so that its real parent learns of the death.
class Tracee
{
public:
    /// PTRACE_SEIZE. EPERM: traced already (strace, gdb), or not permitted (Yama, privilege).
    /// ESRCH: gone.
    static Result<Tracee> seize(pid_t tid, Waiting waiting = Waiting::alone);

    Tracee(Tracee &&other) noexcept;
    Tracee &operator=(Tracee &&) = delete;
    Tracee(const Tracee &) = delete;
    Tracee &operator=(const Tracee &) = delete;
    ~Tracee();

    /// Asks for a stop, which comes once the thread is on its way back to user mode.
    Result<void> interrupt();
    /// Waits for that stop, as long as it takes (a frozen cgroup). ESRCH: died instead, or was
    /// discarded by an exec of another thread.
    Result<void> wait_for_stop();
    /// Lets it run, with the signal whose delivery the stop was, if any. ESRCH: died.
    Result<void> detach();

    /// Whether system calls that the thread makes between these addresses would go to its own
    /// SIGSYS handler instead of the kernel (prctl(2), PR_SET_SYSCALL_USER_DISPATCH). False also
    /// where the kernel does not say (before 6.4). Only while stopped.
    [[nodiscard]] bool dispatches_calls(RemotePtr begin, RemotePtr end) const;

    /// Writes through page protections (FOLL_FORCE); only while stopped.
    Result<void> poke_text(RemotePtr to, std::span<const std::byte> from);

    /// Writes only the words that `there`, seen before and at least as long, holds otherwise: the
    /// quickest way to write through ptrace(2), which takes a system call for each word.
    Result<void> poke_changes(RemotePtr to, std::span<const std::byte> from,
                              std::span<const std::byte> there);

    [[nodiscard]] pid_t tid() const { return tid_; }

private:
    enum class State { attached, interrupted, stopped, gone };

    /// Whose end is not ours to take.
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
    int signal_ = 0; ///< to be delivered when it goes on
};

} // namespace clone2
