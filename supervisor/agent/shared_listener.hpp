// SPDX-License-Identifier: MIT
#pragma once

#include "base/diagnostics.hpp"
#include "listener/listener.hpp"

#include <atomic>
#include <chrono>
#include <string>

namespace clone2::agent
{

/// A listener of which a peer may have kept a copy. If both are woken and the peer is faster, our
/// RECV would wait for the next call, which may never come, and block everything else. So RECV is
/// interrupted after some milliseconds; from then on the listener counts as hung up.
class SharedListener final : public Listener
{
public:
    /// `whose`: for messages. Throws as Listener does.
    SharedListener(Fd fd, Diagnostics &diagnostics, std::string whose)
        : Listener(std::move(fd), std::nullopt), diagnostics_(diagnostics), whose_(std::move(whose))
    {
    }

    Result<Notification> receive() override;
    [[nodiscard]] Pending wait(int other, std::chrono::milliseconds time) const override;

private:
    Diagnostics &diagnostics_;
    const std::string whose_;
    std::atomic<bool> lost_{false}; ///< another process has received in our place
};

} // namespace clone2::agent
