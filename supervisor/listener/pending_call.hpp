// SPDX-License-Identifier: MIT
#pragma once

#include "base/result.hpp"
#include "base/trace.hpp"
#include "listener/listener.hpp"
#include "listener/notification.hpp"

#include <cstdint>
#include <optional>
#include <sys/types.h>

namespace clone2
{

/// A call that waits for our answer: a notification, and the source through which to answer it. A
/// view, cheap to copy; both must outlive it. As thread-safe as NotificationSource.
class PendingCall
{
public:
    PendingCall(NotificationSource &source, const Notification &notification)
        : source_(&source), notification_(&notification)
    {
    }

    [[nodiscard]] const Notification &notification() const { return *notification_; }
    /// The caller's tid in our pid namespace. It names this thread only while still_waits().
    [[nodiscard]] pid_t tid() const { return notification_->tid; }

    /// Answers with `value`: >= 0 is a result, < 0 a -errno. ENOENT: the target is gone.
    [[nodiscard]] Result<void> answer(std::int64_t value) const
    {
        Result<void> sent = source_->answer(notification_->id, value);
        stage("answered",
              [&] { return describe_result(value) + (sent ? "" : ", but it no longer waits"); });
        return sent;
    }
    /// Has the kernel run the call as if it had not been trapped.
    Result<void> leave_to_kernel() const
    {
        stage("answered", [] { return "left to the kernel"; });
        return source_->leave_to_kernel(notification_->id);
    }
    /// Whether the caller lives and waits. Nothing else proves that it is gone: a seccomp filter or
    /// an outer tracer may fake errors of ptrace(2) and /proc.
    [[nodiscard]] bool still_waits() const { return source_->still_valid(notification_->id); }

    /// See NotificationSource.
    [[nodiscard]] std::optional<bool> wait_killable() const { return source_->wait_killable(); }
    void learn_wait_killable(bool wait_killable) const
    {
        source_->learn_wait_killable(wait_killable);
    }

    /// The same call, of which more is known: `notification` must outlive the result.
    [[nodiscard]] PendingCall as(const Notification &notification) const
    {
        PendingCall call = *this;
        call.notification_ = &notification;
        return call;
    }
    /// The same call, with its stages reported to `trace`, which must outlive it.
    [[nodiscard]] PendingCall traced(const CallTrace &trace) const
    {
        PendingCall call = *this;
        call.trace_ = &trace;
        return call;
    }
    /// Reports that the call is at this stage. `what()` describes it, and runs only if the call is
    /// traced.
    template <typename What>
    void stage(const char *name, What what) const
    {
        if (trace_ != nullptr) {
            trace_->stage(name, what());
        }
    }

private:
    NotificationSource *source_;
    const Notification *notification_;
    const CallTrace *trace_ = nullptr;
};

} // namespace clone2
