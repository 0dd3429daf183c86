// SPDX-License-Identifier: MIT
#include "base/kernel_clone2.hpp"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <linux/seccomp.h>

namespace clone2
{

bool is_filtered()
{
    return ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_DISABLED;
}

KernelClone2 probe_kernel_clone2(int number)
{
    // With null arguments, a kernel that implements clone2 fails with EFAULT before anything else.
    // Any other error (a sandbox's EPERM) means that nothing here implements clone2.
    if (::syscall(number, nullptr, nullptr) != -1 || errno != EFAULT) {
        return KernelClone2::absent;
    }
    return is_filtered() ? KernelClone2::behind_filter : KernelClone2::present;
}

} // namespace clone2
