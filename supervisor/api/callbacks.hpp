// SPDX-License-Identifier: MIT
#pragma once

#include "audit/record.hpp"
#include "base/diagnostics.hpp"
#include "calls/call_handler.hpp"
#include "calls/listener_owner.hpp"

#include <clone2/supervise.h>

#include <optional>
#include <string>

/// Connects the program's callbacks to the handler's interfaces.

namespace clone2::api
{

/// While it exists, marks the calling thread as inside a callback of this supervisor.
class InCallback
{
public:
    explicit InCallback(const clone2_supervisor *supervisor) noexcept;
    InCallback(const InCallback &) = delete;
    InCallback &operator=(const InCallback &) = delete;
    ~InCallback();

    /// Whether this thread is inside one, at any depth (several supervisors can be nested).
    [[nodiscard]] static bool of(const clone2_supervisor *supervisor) noexcept;

private:
    const clone2_supervisor *supervisor_;
    const InCallback *outer_;
};

/// The options as given, and the supervisor they belong to.
struct Callbacks {
    clone2_supervisor_options options;
    const clone2_supervisor *supervisor;
};

/// One listener's owner: knows its cookie. Reports its end once, at the latest in the destructor.
class CallbackOwner final : public ListenerOwner, private AuditSink
{
public:
    /// `handler`: of the same supervisor; for a caller's details.
    CallbackOwner(const Callbacks &callbacks, const CallHandler &handler, void *cookie);
    ~CallbackOwner() override;

    [[nodiscard]] bool judges() const override { return callbacks_.options.policy != nullptr; }
    [[nodiscard]] std::optional<Refusal> judge(const Notification &caller,
                                               const Request &request) override;
    void ended(int fd) override;
    /// It was never served, so its end is not reported.
    void forget() { told_ = true; }

private:
    void record(const CallRecord &record) override;
    [[nodiscard]] bool wants_successes() const override;
    [[nodiscard]] bool wants_details() const override;
    void tell_end(clone2_ended why) noexcept;

    [[nodiscard]] bool details_asked() const
    {
        return (callbacks_.options.flags & CLONE2_WITH_DETAILS) != 0;
    }

    const Callbacks &callbacks_;
    const CallHandler &handler_;
    void *cookie_;
    bool told_ = false;
};

class CallbackDiagnostics final : public Diagnostics
{
public:
    explicit CallbackDiagnostics(const Callbacks &callbacks);

protected:
    void tell(Level level, const std::string &message) const override;

private:
    const Callbacks &callbacks_;
};

} // namespace clone2::api
