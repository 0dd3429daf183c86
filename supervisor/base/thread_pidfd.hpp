// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace clone2
{

/// pidfd_open(2) of this thread, not of its process (PIDFD_THREAD, newer than Debian 12's headers).
/// -1 and EINVAL: the kernel is older than 6.9. Thread-safe.
[[nodiscard]] inline int open_thread_pidfd(pid_t tid)
{
    constexpr unsigned pidfd_thread = O_EXCL;
    return static_cast<int>(::syscall(SYS_pidfd_open, tid, pidfd_thread));
}

} // namespace clone2
