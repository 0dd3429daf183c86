// SPDX-License-Identifier: MIT
#pragma once

#include "audit/record.hpp"
#include "listener/notification.hpp"
#include "plan/planner.hpp"
#include "request/request.hpp"

#include <cstdint>
#include <optional>
#include <sys/types.h>

namespace clone2
{

/// Whoever has handed a listener over for serving: is asked before a call is made and hears what
/// came of it. One owner may have several listeners. Implementations are thread-safe: calls of
/// one listener are served on many threads at once.
class ListenerOwner
{
public:
    explicit ListenerOwner(AuditSink &audit) : audit_(audit) {}
    ListenerOwner(const ListenerOwner &) = delete;
    ListenerOwner &operator=(const ListenerOwner &) = delete;
    virtual ~ListenerOwner() = default;

    /// The kernel has handed this notification out. Told before the next one of the same listener
    /// is received: where the process is killed in between, only the newest has not been told.
    /// Must not block.
    virtual void received(const Notification & /*notification*/) {}
    /// A reason to refuse a call unseen, by its notification alone; asked first, for each, also
    /// for those by which a target reports. Without a text it is no clone2 call, and not told to
    /// audit(). Must not block.
    [[nodiscard]] virtual std::optional<Refusal> screen(const Notification & /*notification*/)
    {
        return std::nullopt;
    }
    /// Whether judge() may refuse: asked where a request would not be read but for that.
    [[nodiscard]] virtual bool judges() const { return false; }
    /// A reason to refuse a call that could be made otherwise: what SPEC.md decides is decided
    /// already. `tid`: the caller, in the supervisor's pid namespace. Asked on the serving thread,
    /// and once more where a program's first call is read anew after booting. While it blocks, so
    /// does the caller.
    [[nodiscard]] virtual std::optional<Refusal> judge(pid_t /*tid*/, const Request & /*request*/)
    {
        return std::nullopt;
    }
    /// Around the kernel's handing out of a notification, on the same thread. Where somebody else
    /// may receive from the listener, too, that one may have taken it meanwhile, and RECV waits:
    /// begin_receive() then sees to it that it is interrupted.
    virtual void begin_receive() {}
    virtual void end_receive() {}
    /// It was interrupted (EINTR). True: serve this listener no longer.
    [[nodiscard]] virtual bool gives_up() { return false; }
    /// The last target of one of its listeners is gone, or gives_up(): the last that is heard of
    /// that listener. `fd`: the number that it had. May add listeners.
    virtual void ended(int /*fd*/) {}

    /// Whose calls these are: between users the threads that calls hold up are shared out (Budget).
    [[nodiscard]] virtual uid_t user() const { return 0; }
    /// Its user's calls hold up so many threads that further ones wait. Told once until that has
    /// changed. Must not block.
    virtual void calls_wait(std::uint64_t /*held*/) {}

    /// Where its calls are told.
    [[nodiscard]] AuditSink &audit() const { return audit_; }

private:
    AuditSink &audit_;
};

} // namespace clone2
