// SPDX-License-Identifier: MIT
#pragma once

#include "abi/call_table.hpp"
#include "audit/record.hpp"
#include "listener/notification.hpp"
#include "plan/planner.hpp"
#include "plan/request.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>

namespace clone2
{

/// Represents the sender of a listener: is asked before a call is made, and receives the result.
/// One owner may have several listeners. Implementations are thread-safe, because many threads
/// serve one listener's calls at once.
class ListenerOwner
{
public:
    /// `calls`: those that the filter of its listeners traps.
    explicit ListenerOwner(AuditSink &audit, CallTable calls = CallTable())
        : audit_(audit), calls_(std::move(calls))
    {
    }
    ListenerOwner(const ListenerOwner &) = delete;
    ListenerOwner &operator=(const ListenerOwner &) = delete;
    virtual ~ListenerOwner() = default;

    /// A reason to refuse a notification without reading the call. Called first, for every
    /// notification, including reports from targets. Must not block.
    [[nodiscard]] virtual std::optional<Refusal> screen(const Notification & /*notification*/)
    {
        return std::nullopt;
    }
    enum class Unserved { gets_enosys, is_left_to_kernel };
    /// This call is not in calls(), and audit() does not get it. Must not block.
    [[nodiscard]] virtual Unserved not_trapped(const Notification & /*notification*/)
    {
        return Unserved::gets_enosys;
    }
    /// A program's own call, not a report, has come: how it fails without being made, if it does.
    /// Called once for each such call, valid or not. Must not block.
    [[nodiscard]] virtual std::optional<Refusal> inject() { return std::nullopt; }
    /// Whether judge() may refuse; decides whether a request must be read just for that.
    [[nodiscard]] virtual bool judges() const { return false; }
    /// A reason to refuse a valid call: the rules of clone2 have been checked. `caller`: its
    /// notification. Called on the serving thread; called again when a program's first call is read
    /// again after booting. The caller waits until it returns.
    [[nodiscard]] virtual std::optional<Refusal> judge(const Notification & /*caller*/,
                                                       const Request & /*request*/)
    {
        return std::nullopt;
    }
    /// A call that judge() has seen was not made, and perhaps audit() gets no record of it: a
    /// signal has interrupted it, or the caller is gone. It may also be judged again, see above.
    /// Must not block.
    virtual void not_made(const Notification & /*caller*/) {}
    /// One of its listeners has hung up, usually because its last target is gone. No further calls
    /// concern that listener. `fd`: its former number. May add listeners.
    virtual void ended(int /*fd*/) {}

    /// The peer that handed its listeners over, as the log has it: a container's id, or
    /// "clone2-shim 4711". Empty: there is no peer, as for the wrapper's PROGRAM.
    [[nodiscard]] virtual std::string peer() const { return {}; }
    /// The same for messages: 'container "web" (uid 0, pid 4711 there)'.
    [[nodiscard]] virtual std::string peer_name() const { return {}; }
    /// The user whose calls these are: the threads that calls hold up are shared among users
    /// (Budget).
    [[nodiscard]] virtual uid_t user() const { return 0; }
    /// Its user's calls hold up so many threads that further calls wait. Called once until that has
    /// changed. Must not block.
    virtual void calls_wait(std::uint64_t /*held*/) {}

    /// Receives its calls' records.
    [[nodiscard]] AuditSink &audit() const { return audit_; }
    [[nodiscard]] const CallTable &calls() const { return calls_; }

private:
    AuditSink &audit_;
    const CallTable calls_;
};

} // namespace clone2
