// SPDX-License-Identifier: MIT
#pragma once

#include "agent/listener_note.hpp"
#include "base/diagnostics.hpp"
#include "listener/listener.hpp"

#include <atomic>
#include <chrono>
#include <optional>
#include <string>

namespace clone2::agent
{

/// A listener of which a peer may have kept a copy. If both are woken and the peer is faster, our
/// RECV would wait for the next call, which may never come, and block everything else. So RECV is
/// interrupted after some milliseconds; from then on the listener counts as hung up.
class SharedListener final : public Listener
{
public:
    /// `whose`, `user`: for messages. `note`: where received notifications are noted for the next
    /// agent; nullopt: nowhere, since nobody keeps the listener. Throws as Listener does.
    SharedListener(Fd fd, Diagnostics &diagnostics, std::string whose, uid_t user,
                   std::optional<ListenerNote> note)
        : Listener(std::move(fd), std::nullopt), diagnostics_(diagnostics),
          whose_(std::move(whose)), user_(user), note_(std::move(note))
    {
    }

    /// Only one thread at a time may be in it.
    Result<Notification> receive() override;
    [[nodiscard]] Pending wait(int other, std::chrono::milliseconds time) const override;

    /// Whether it hung up because another process has received in our place.
    [[nodiscard]] bool is_lost() const { return lost_; }

private:
    Diagnostics &diagnostics_;
    const std::string whose_;
    const uid_t user_;
    std::optional<ListenerNote> note_;
    std::atomic<bool> lost_{false}; ///< another process has received in our place
};

} // namespace clone2::agent
