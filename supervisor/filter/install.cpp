// SPDX-License-Identifier: MIT
//
// Separate from filter.cpp: a program with its own filter doesn't need libseccomp.
#include "filter/filter.hpp"
#include "filter/seccomp_filter.h"

namespace clone2
{

Result<InstalledFilter> install_filter(std::span<const sock_filter> program,
                                       bool prefer_wait_killable,
                                       bool may_set_no_new_privs) noexcept
{
    const sock_fprog prog{static_cast<unsigned short>(program.size()),
                          const_cast<sock_filter *>(program.data())};
    constexpr unsigned long killable = SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    filter_options how{SECCOMP_FILTER_FLAG_NEW_LISTENER | (prefer_wait_killable ? killable : 0),
                       killable, may_set_no_new_privs, 0};
    const long listener = filter_install(&prog, &how);
    switch (-listener) {
    case EBUSY:
        return Error(Cause::second_listener);
    case EINVAL: // without a flag that might be unknown
        return Error(Cause::no_notifications);
    default:
        break;
    }
    if (listener < 0) {
        return Error("seccomp(NEW_LISTENER)", 0, static_cast<int>(-listener));
    }
    return InstalledFilter{static_cast<int>(listener), (how.flags & killable) != 0,
                           how.no_new_privs != 0};
}

} // namespace clone2
