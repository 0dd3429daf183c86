// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <sys/ioctl.h>

namespace clone2
{

/// ioctl(2), repeated after EINTR. For listener requests that don't wait for a target: the kernel
/// takes a mutex interruptibly (kernel/seccomp.c), and has done nothing yet when a signal
/// interrupts it. Thread-safe.
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
