// SPDX-License-Identifier: MIT
#pragma once

#include "base/remote_ptr.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <span>
#include <sys/types.h>

namespace clone2
{

/// A thread that we trace for a moment (ptrace(2), PTRACE_SEIZE, 3.4).
///
/// A tracee belongs to the *thread* that seized it: create, use and destroy on one thread. All
/// waiting for tracees is in here, by tid and with __WNOTHREAD, so that no thread takes another's
/// stop. This holds only as long as the process has no target among its own children: their
/// stops would be reported to every thread (that is why the targets' parent is another process).
///
/// Destruction leaves the target running, whatever has happened: detached, or reaped as a dead
/// tracee so that its real parent learns of the death.
class Tracee
{
public:
    /// PTRACE_SEIZE. EPERM: traced already (strace, gdb), or not permitted (Yama, privilege).
    /// ESRCH: gone.
    static Result<Tracee> seize(pid_t tid);

    Tracee(Tracee &&other) noexcept;
    Tracee &operator=(Tracee &&) = delete;
    Tracee(const Tracee &) = delete;
    Tracee &operator=(const Tracee &) = delete;
    ~Tracee();

    /// Asks for a stop, which comes once the thread is on its way back to user mode.
    Result<void> interrupt();
    /// Waits for that stop, as long as it takes (a frozen cgroup). ESRCH: died instead.
    Result<void> wait_for_stop();
    /// Lets it run, with the signal whose delivery the stop was, if any. ESRCH: died.
    Result<void> detach();

    /// Writes through page protections (FOLL_FORCE); only while stopped.
    Result<void> poke_text(RemotePtr to, std::span<const std::byte> from);

    [[nodiscard]] pid_t tid() const { return tid_; }

private:
    enum class State { attached, interrupted, stopped, gone };

    explicit Tracee(pid_t tid) : tid_(tid) {}

    pid_t tid_;
    State state_ = State::attached;
    int signal_ = 0; ///< to be delivered when it goes on
};

} // namespace clone2
