// SPDX-License-Identifier: MIT
#include "agent/peer_listener.hpp"

#include <cerrno>

namespace clone2::agent
{

PeerListener::PeerListener(const Shared &shared, const Subject &subject,
                           std::function<void()> on_end)
    : JudgedOwner(shared, subject, subject.name()), on_end_(std::move(on_end))
{
}

std::optional<Refusal> PeerListener::screen(const Notification &notification)
{
    if (notification.tid == 0) {
        // The kernel reports tid 0 if the caller has no pid in our pid namespace.
        const std::string why = "the caller is in a pid namespace that the agent can't see";
        if (!told_invisible_.exchange(true)) {
            diagnostics().warn(name() + ": calls refused with EPERM: " + why +
                                   "; run the agent in an ancestor of that namespace (on the "
                                   "host, or with hostPID)",
                               user());
        }
        return Refusal{EPERM, why};
    }
    return std::nullopt;
}

ListenerOwner::Unserved PeerListener::not_trapped(const Notification &notification)
{
    if (hear_announcement(notification)) {
        return Unserved::is_left_to_kernel;
    }
    if (!told_number_.exchange(true)) {
        diagnostics().warn(name() + ": calls refused with ENOSYS: system call " +
                               number_text(notification.arch, notification.nr) + " is not " +
                               calls().text() +
                               ", which is clone2 here (see --nr, and "
                               "the SCMP_ACT_NOTIFY of its profile)",
                           user());
    }
    return Unserved::gets_enosys;
}

void PeerListener::calls_wait(std::uint64_t held)
{
    diagnostics().warn("uid " + std::to_string(subject().uid) + ": " + std::to_string(held) +
                           " calls are under way and held up, further ones wait (--budget)",
                       user());
}

void PeerListener::ended(int /*fd*/)
{
    charges_.clear();
    on_end_();
}

} // namespace clone2::agent
