// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"

#include <csignal>
#include <cstdint>
#include <optional>

namespace clone2::cli
{

/// A signal as received, with its sender and value.
struct SentSignal {
    int number = 0;
    int code = 0;          ///< si_code
    std::uint32_t pid = 0; ///< the sender's, in the receiver's pid namespace; 0: not visible
    std::uint32_t uid = 0;
    std::uint64_t value = 0; ///< from sigqueue(3)

    /// Sent by the kernel rather than a process, for example by the terminal.
    [[nodiscard]] bool is_of_kernel() const { return code == SI_KERNEL; }
    /// At most one of a standard signal is pending; more of the same are lost.
    [[nodiscard]] bool is_standard() const { return number < SIGRTMIN; }
};

/// All signals forwarded to PROGRAM: all but SIGKILL and SIGSTOP (which can't be caught), SIGCHLD,
/// and the two that the C library reserves. Faults end us even if blocked.
[[nodiscard]] sigset_t forwarded_signals();
/// The set of this signal alone.
[[nodiscard]] sigset_t only(int signal);

/// Whether the signal stops a process and can be caught.
[[nodiscard]] bool is_stop(int signal);
/// Whether each of the two discards the other while it is pending.
[[nodiscard]] bool take_each_other_back(int one, int other);

/// A non-blocking signalfd for this set. Throws std::system_error.
[[nodiscard]] Fd open_signals(const sigset_t &set);
[[nodiscard]] std::optional<SentSignal> read_signal(const Fd &signals);

/// Sends the signal to another process, with its value if it has one.
void hand_on(const SentSignal &signal, pid_t process);

/// Returns once a signal that this process has received has reached the rest of its process group,
/// if it was sent to the group.
void wait_for_the_group();

/// Whether it is wake_reaper()'s SIGCONT, which is meant for the reaper alone.
[[nodiscard]] bool is_wake_up(const SentSignal &signal);
/// Continues the reaper. It is in PROGRAM's process group, but a SIGSTOP to the group must not stop
/// it.
void wake_reaper(pid_t reaper);

} // namespace clone2::cli
