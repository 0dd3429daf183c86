// SPDX-License-Identifier: MIT
#include "base/kernel_clone2.hpp"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <linux/seccomp.h>

namespace clone2
{

KernelClone2 probe_kernel_clone2()
{
    // Without args the first thing decided is EFAULT. Other errors (EPERM of a sandbox) are
    // nobody's who knows the call.
    if (::syscall(clone2_nr, nullptr, nullptr) != -1 || errno != EFAULT) {
        return KernelClone2::absent;
    }
    return ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_DISABLED
               ? KernelClone2::present
               : KernelClone2::behind_filter;
}

} // namespace clone2
