// SPDX-License-Identifier: MIT
#include "api/callbacks.hpp"

#include <array>
#include <cerrno>
#include <utility>

namespace clone2::api
{

namespace
{

thread_local const InCallback *innermost = nullptr;

/// Larger values are internal to the kernel (ERESTARTSYS); no program may see them.
constexpr int last_errno = 511;

/// Calls into the program. noexcept: if the callback throws, the program ends at the throw.
template <typename Function, typename... Arguments>
auto call(const Callbacks &callbacks, Function function, Arguments... arguments) noexcept
{
    const InCallback in_callback(callbacks.supervisor);
    return function(callbacks.options.user, arguments...);
}

} // namespace

InCallback::InCallback(const clone2_supervisor *supervisor) noexcept
    : supervisor_(supervisor), outer_(std::exchange(innermost, this))
{
}

InCallback::~InCallback()
{
    innermost = outer_;
}

bool InCallback::of(const clone2_supervisor *supervisor) noexcept
{
    for (const InCallback *at = innermost; at != nullptr; at = at->outer_) {
        if (at->supervisor_ == supervisor) {
            return true;
        }
    }
    return false;
}

CallbackOwner::CallbackOwner(const Callbacks &callbacks, const CallHandler &handler, void *cookie)
    : ListenerOwner(static_cast<AuditSink &>(*this), CallTable::by_any_number()),
      callbacks_(callbacks), handler_(handler), cookie_(cookie)
{
}

CallbackOwner::~CallbackOwner()
{
    tell_end(CLONE2_ENDED_FREED);
}

void CallbackOwner::ended(int /*fd*/)
{
    tell_end(CLONE2_ENDED_TARGETS_GONE);
}

void CallbackOwner::tell_end(clone2_ended why) noexcept
{
    if (!std::exchange(told_, true) && callbacks_.options.ended != nullptr) {
        call(callbacks_, callbacks_.options.ended, cookie_, why);
    }
}

std::optional<Refusal> CallbackOwner::judge(const Notification &caller, const Request &request)
{
    if (!judges()) {
        return std::nullopt;
    }
    clone2_request asked{};
    asked.size = sizeof asked;
    asked.cookie = cookie_;
    asked.tid = caller.tid;
    asked.nr_pids = request.nr_pids;
    asked.flags = request.flags;
    asked.pids = request.pids;
    asked.pids_count = static_cast<std::uint32_t>(request.asked().size());
    CallerDetails details;
    if (details_asked()) {
        details = handler_.namespaces().details_of(caller.tid);
    }
    asked.comm = details.comm.c_str();
    asked.level = details.level ? static_cast<int>(*details.level) : -1;
    asked.uid = details.uid ? static_cast<std::int64_t>(*details.uid) : -1;
    std::array<char, CLONE2_REASON_SIZE> reason{};
    int err = call(callbacks_, callbacks_.options.policy, &asked, reason.data());
    if (err == 0) {
        return std::nullopt;
    }
    if (err < 0 || err > last_errno) {
        err = EPERM;
    }
    reason.back() = '\0';
    return Refusal{err, reason.front() != '\0' ? reason.data() : "refused by policy"};
}

void CallbackOwner::record(const CallRecord &record)
{
    if (callbacks_.options.event == nullptr) {
        return;
    }
    clone2_request asked{};
    asked.size = sizeof asked;
    asked.cookie = cookie_;
    asked.tid = record.tid;
    asked.nr_pids = record.nr_pids;
    asked.flags = record.flags;
    asked.pids = record.pids.data();
    asked.pids_count = static_cast<std::uint32_t>(record.pids.size());
    asked.comm = record.comm.c_str();
    asked.level = record.level ? static_cast<int>(*record.level) : -1;
    asked.uid = record.uid ? static_cast<std::int64_t>(*record.uid) : -1;
    clone2_event event{};
    event.size = sizeof event;
    event.request = &asked;
    event.result = record.result;
    event.reason = record.result < 0 ? record.why.c_str() : nullptr;
    event.latency_us = record.latency_us;
    event.time_ns = record.time_ns;
    event.comm = asked.comm;
    event.doubt = record.doubt.empty() ? nullptr : record.doubt.c_str();
    event.level = asked.level;
    event.child_here = record.child_here;
    call(callbacks_, callbacks_.options.event, &event);
}

bool CallbackOwner::wants_successes() const
{
    return callbacks_.options.event != nullptr &&
           (callbacks_.options.flags & CLONE2_FAILURES_ONLY) == 0;
}

bool CallbackOwner::wants_details() const
{
    return callbacks_.options.event != nullptr && details_asked();
}

CallbackDiagnostics::CallbackDiagnostics(const Callbacks &callbacks)
    : Diagnostics(callbacks.options.log != nullptr ? Verbosity::verbose : Verbosity::quiet),
      callbacks_(callbacks)
{
}

void CallbackDiagnostics::tell(Level level, const std::string &message) const
{
    call(callbacks_, callbacks_.options.log,
         level == Level::warning ? CLONE2_LOG_WARNING : CLONE2_LOG_INFO, message.c_str());
}

} // namespace clone2::api
