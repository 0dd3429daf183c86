// SPDX-License-Identifier: MIT
#pragma once

#include "agent/child_count.hpp"
#include "agent/policy_holder.hpp"
#include "agent/process_state.hpp"
#include "audit/self_served.hpp"
#include "base/diagnostics.hpp"
#include "calls/listener_owner.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

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

    [[nodiscard]] bool admit(const Notification &caller, std::uint32_t most)
    {
        counting_ = true;
        return children_.admit(caller.tid, caller.id, most);
    }
    void not_made(const Notification &caller)
    {
        if (counting_) {
            children_.not_made(caller.tid, caller.id);
        }
    }

private:
    AuditSink &next_;
    ChildCount children_;
    std::atomic<bool> counting_{false};
};

/// A base of JudgedOwner, so that it is constructed before ListenerOwner, which refers to its sink.
struct OwnSink {
    CountingSink sink;
};

/// An owner whose calls must be allowed by the policy, if there is one.
class JudgedOwner : private OwnSink, public ListenerOwner
{
public:
    /// What all owners share; outlives them.
    struct Shared {
        AuditSink &audit;
        Diagnostics &diagnostics;
        const PolicyHolder &policy;
        std::shared_ptr<const Procfs> procfs;
        CallTable calls;                                     ///< unless the subject has others
        std::function<void(const SelfServed &)> self_served; ///< for the log; empty: there is none
    };
    /// `name`: of the subject, for messages.
    JudgedOwner(const Shared &shared, Subject subject, std::string name);

    [[nodiscard]] bool judges() const override { return shared_.policy.current() != nullptr; }
    [[nodiscard]] std::optional<Refusal> judge(const Notification &caller,
                                               const Request &request) override;
    void not_made(const Notification &caller) override;
    [[nodiscard]] uid_t user() const override { return subject_.uid; }

    [[nodiscard]] const Subject &subject() const { return subject_; }

protected:
    /// Writes libclone2's announcement to the log. False: this call is none.
    [[nodiscard]] bool hear_announcement(const Notification &notification) const;
    [[nodiscard]] Diagnostics &diagnostics() const { return shared_.diagnostics; }
    [[nodiscard]] const std::string &name() const { return name_; }

private:
    const Shared &shared_;
    const Subject subject_;
    const std::string name_;
};

} // namespace clone2::agent
