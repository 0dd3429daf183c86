// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"

#include <csignal>
#include <cstdint>
#include <optional>

namespace clone2::cli
{

/// A signal with what its sender gave it.
struct SentSignal {
    int number = 0;
    int code = 0;          ///< si_code
    std::uint32_t pid = 0; ///< of the sender, in the receiver's pid namespace; 0: not in that
    std::uint32_t uid = 0;
    std::uint64_t value = 0; ///< sigqueue(3)'s

    /// From the kernel, not from a process: the terminal's, say.
    [[nodiscard]] bool is_of_kernel() const { return code == SI_KERNEL; }
    /// One at a time waits; others of its kind are lost meanwhile.
    [[nodiscard]] bool is_standard() const { return number < SIGRTMIN; }
};

/// All that are handed on to PROGRAM: but SIGKILL and SIGSTOP, which nobody can, SIGCHLD, and the
/// two that are the C library's own. A fault of our own ends us all the same, blocked or not.
[[nodiscard]] sigset_t forwarded_signals();

/// Whether this is one of the signals that stop a process and can be caught.
[[nodiscard]] bool is_stop(int signal);
/// Whether the later one of these takes the earlier one back where that still is pending.
[[nodiscard]] bool take_each_other_back(int one, int other);

/// A signalfd for these, without waiting. Throws std::system_error.
[[nodiscard]] Fd open_signals(const sigset_t &set);
[[nodiscard]] std::optional<SentSignal> read_signal(const Fd &signals);

/// Sends it to another process, with its value if it has one.
void hand_on(const SentSignal &signal, pid_t process);

/// Returns when a signal that this process has got has reached the rest of its process group, if
/// it was sent to that.
void wait_for_the_group();

/// A SIGCONT for the reaper alone, which is no news for anybody (wake_reaper()).
[[nodiscard]] bool is_wake_up(const SentSignal &signal);
/// The reaper is in PROGRAM's process group. A SIGSTOP for all of that is not to stop it.
void wake_reaper(pid_t reaper);

} // namespace clone2::cli
