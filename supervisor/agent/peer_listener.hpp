// SPDX-License-Identifier: MIT
#pragma once

#include "agent/child_count.hpp"
#include "agent/ledger.hpp"
#include "agent/listener_note.hpp"
#include "agent/policy_holder.hpp"
#include "agent/process_state.hpp"
#include "base/diagnostics.hpp"
#include "calls/listener_owner.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace clone2::agent
{

/// Passes records on, and counts children from the results.
class CountingSink final : public AuditSink
{
public:
    CountingSink(AuditSink &next, std::shared_ptr<const Procfs> procfs)
        : next_(next), children_(std::move(procfs))
    {
    }

    void record(const CallRecord &record) override;
    [[nodiscard]] bool wants_successes() const override
    {
        return counting_ || next_.wants_successes();
    }
    [[nodiscard]] bool wants_details() const override { return next_.wants_details(); }

    [[nodiscard]] bool admit(pid_t tid, std::uint32_t most)
    {
        counting_ = true;
        return children_.admit(tid, most);
    }

private:
    AuditSink &next_;
    ChildCount children_;
    std::atomic<bool> counting_{false};
};

/// A base of PeerListener, so that it is constructed before ListenerOwner, which refers to its
/// sink.
struct OwnSink {
    CountingSink sink;
};

/// The owner of one listener that a peer handed over.
class PeerListener final : private OwnSink, public ListenerOwner
{
public:
    /// What all PeerListeners share; outlives them.
    struct Shared {
        AuditSink &audit;
        Diagnostics &diagnostics;
        const PolicyHolder &policy;
        std::shared_ptr<const Procfs> procfs;
        CallTable calls; ///< unless the subject has others
    };
    /// `listener`: the descriptor's number. `on_end`: called at its end, on any thread; must not
    /// block.
    PeerListener(const Shared &shared, Subject subject, int listener,
                 std::optional<ListenerNote> note, std::function<void()> on_end);

    void received(const Notification &notification) override;
    [[nodiscard]] std::optional<Refusal> screen(const Notification &notification) override;
    void not_trapped(const Notification &notification) override;
    [[nodiscard]] bool judges() const override { return shared_.policy.current() != nullptr; }
    [[nodiscard]] std::optional<Refusal> judge(pid_t tid, const Request &request) override;
    void ended(int fd) override;
    [[nodiscard]] uid_t user() const override { return subject_.uid; }
    void calls_wait(std::uint64_t held) override;

    /// Holds the charges until the listener ends. Call at most once, before it is served.
    void hold(std::vector<Charge> charges) { charges_ = std::move(charges); }
    [[nodiscard]] const Subject &subject() const { return subject_; }

private:
    const Shared &shared_;
    const Subject subject_;
    const int listener_;
    std::optional<ListenerNote> note_;
    std::function<void()> on_end_;
    std::vector<Charge> charges_;
    std::atomic<bool> told_invisible_{false};
    std::atomic<bool> told_number_{false};
};

} // namespace clone2::agent
