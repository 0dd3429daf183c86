// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <sys/ioctl.h>

namespace clone2
{

/// ioctl(2), made again after EINTR. For requests on a listener that don't wait for a target: there
/// the kernel takes a mutex interruptibly (kernel/seccomp.c), and where a signal is pending it has
/// done nothing yet. Thread-safe.
template <typename Argument>
int uninterrupted_ioctl(int fd, unsigned long request, Argument *argument)
{
    for (;;) {
        const int result = ::ioctl(fd, request, argument);
        if (result == 0 || errno != EINTR) {
            return result;
        }
    }
}

} // namespace clone2
