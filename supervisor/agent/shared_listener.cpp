// SPDX-License-Identifier: MIT
#include "agent/shared_listener.hpp"

#include "agent/time_limit.hpp"

#include <cerrno>
#include <chrono>

namespace clone2::agent
{

Result<Notification> SharedListener::receive()
{
    TimeLimit &limit = TimeLimit::of_this_thread();
    limit.start(std::chrono::milliseconds(5));
    const Result<Notification> notification =
        note_ ? receive_into(note_->room()) : Listener::receive();
    if (note_ && notification) {
        note_->received(fd(), notification->id);
    }
    limit.stop();
    if (!notification && notification.error().err == EINTR) {
        lost_ = true;
        diagnostics_.warn(whose_ + ": another process receives from its listener, so it is no "
                                   "longer served",
                          user_);
    }
    return notification;
}

Listener::Pending SharedListener::wait(int other, std::chrono::milliseconds time) const
{
    return lost_ ? Pending::hung_up : Listener::wait(other, time);
}

} // namespace clone2::agent
