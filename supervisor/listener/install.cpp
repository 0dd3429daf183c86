// SPDX-License-Identifier: MIT
//
// Separate from filter.cpp: a program with its own filter doesn't need libseccomp.
#include "listener/filter.hpp"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <linux/seccomp.h>

namespace clone2
{

InstalledFilter install_filter(std::span<const sock_filter> program, bool prefer_wait_killable,
                               bool may_set_no_new_privs) noexcept
{
    const sock_fprog prog{static_cast<unsigned short>(program.size()),
                          const_cast<sock_filter *>(program.data())};
    InstalledFilter installed;
    installed.wait_killable = prefer_wait_killable;
    // At most three attempts: as asked, with no_new_privs, without WAIT_KILLABLE_RECV.
    for (int attempt = 0; attempt < 3; ++attempt) {
        unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
        if (installed.wait_killable) {
            flags |= SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
        }
        const long fd = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
        if (fd >= 0) {
            installed.listener = static_cast<int>(fd);
            return installed;
        }
        installed.listener = -errno;
        if (errno == EACCES && may_set_no_new_privs && !installed.no_new_privs &&
            ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
            installed.no_new_privs = true;
        } else if (errno == EINVAL && installed.wait_killable) {
            installed.wait_killable = false;
        } else {
            return installed;
        }
    }
    return installed;
}

} // namespace clone2
