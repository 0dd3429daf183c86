// SPDX-License-Identifier: MIT
#include "cli/mistakes.hpp"

#include <algorithm>
#include <string>

namespace clone2::cli
{

void Mistakes::mention(const Notification &notification)
{
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(watched_.begin(), watched_.end(), [&](const TrappedCall &call) {
        return call.arch == notification.arch && call.number == notification.nr;
    });
    if (found == watched_.end()) {
        return;
    }
    diagnostics_.warn("system call " + number_text(found->arch, found->number) + " of thread " +
                      procfs_->name_of(notification.tid) + " is not served" +
                      (found->number > highest_number
                           ? ": programs of this ABI are not"
                           : " (--nr " + asked_.with(*found).text() + " would serve it)"));
    watched_.erase(found);
}

} // namespace clone2::cli
