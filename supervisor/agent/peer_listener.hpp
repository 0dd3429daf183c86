// SPDX-License-Identifier: MIT
#pragma once

#include "agent/judged_owner.hpp"
#include "agent/ledger.hpp"

#include <atomic>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

namespace clone2::agent
{

/// The owner of one listener that a peer handed over.
class PeerListener final : public JudgedOwner
{
public:
    /// `on_end`: called at its end, on any thread; must not block.
    PeerListener(const Shared &shared, const Subject &subject, std::function<void()> on_end);

    [[nodiscard]] std::optional<Refusal> screen(const Notification &notification) override;
    [[nodiscard]] Unserved not_trapped(const Notification &notification) override;
    void ended(int fd) override;
    [[nodiscard]] std::string peer() const override { return subject().id(); }
    [[nodiscard]] std::string peer_name() const override { return name(); }
    void calls_wait(std::uint64_t held) override;

    /// Holds the charges until the listener ends. Call at most once, before it is served.
    void hold(std::vector<Charge> charges) { charges_ = std::move(charges); }

private:
    std::function<void()> on_end_;
    std::vector<Charge> charges_;
    std::atomic<bool> told_invisible_{false};
    std::atomic<bool> told_number_{false};
};

} // namespace clone2::agent
