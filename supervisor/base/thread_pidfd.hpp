// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <optional>

namespace clone2
{

// Newer than Debian 12's headers: linux/pidfd.h.

/// pidfd_open(2) of this thread, not of its process (PIDFD_THREAD).
/// -1 and EINVAL: the kernel is older than 6.9. Thread-safe.
[[nodiscard]] inline int open_thread_pidfd(pid_t tid)
{
    constexpr unsigned pidfd_thread = O_EXCL;
    return static_cast<int>(::syscall(SYS_pidfd_open, tid, pidfd_thread));
}

/// The effective uid of the thread or process, in our user namespace (PIDFD_GET_INFO). nullopt: it
/// has ended, or the kernel is older than 6.13. Thread-safe.
[[nodiscard]] inline std::optional<uid_t> euid_of_pidfd(int pidfd)
{
    constexpr std::uint64_t credentials = 1U << 1; // PIDFD_INFO_CREDS
    struct Info {
        std::uint64_t mask = credentials;
        std::uint64_t cgroup = 0;
        std::array<std::uint32_t, 5> pids_and_real_ids{};
        std::uint32_t euid = 0;
        std::array<std::uint32_t, 6> other{};
    } info;
    static_assert(sizeof info == 64, "its first version");
    constexpr unsigned long get_info = _IOWR(0xFF, 11, Info);
    return ::ioctl(pidfd, get_info, &info) == 0 && (info.mask & credentials) != 0
               ? std::optional<uid_t>(info.euid)
               : std::nullopt;
}

} // namespace clone2
