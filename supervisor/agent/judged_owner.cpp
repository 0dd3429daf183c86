// SPDX-License-Identifier: MIT
#include "agent/judged_owner.hpp"

#include "filter/announcements.hpp"
#include "target/namespaces.hpp"

#include <cerrno>
#include <linux/sched.h>

namespace clone2::agent
{

void CountingSink::record(const CallRecord &record)
{
    if (counting_) {
        children_.finished(record.tid, record.result, record.flags);
    }
    next_.record(record);
}

JudgedOwner::JudgedOwner(const Shared &shared, Subject subject, std::string name)
    : OwnSink{{shared.audit, shared.procfs}},
      ListenerOwner(OwnSink::sink, subject.calls.value_or(shared.calls)), shared_(shared),
      subject_(std::move(subject)), name_(std::move(name))
{
}

std::optional<Refusal> JudgedOwner::judge(const Notification &caller, const Request &request)
{
    const std::shared_ptr<const Policy> policy = shared_.policy.current();
    if (!policy) {
        return std::nullopt;
    }
    Verdict verdict = policy->judge(subject_, request);
    const bool thread = (request.flags & CLONE_THREAD) != 0;
    if (!verdict.refusal && verdict.max_children && !thread &&
        !OwnSink::sink.admit(caller, *verdict.max_children)) {
        verdict.refusal = std::to_string(*verdict.max_children) + " children are already alive";
    }
    if (!verdict.refusal) {
        return std::nullopt;
    }
    diagnostics().warn(name_ + ": a call of thread " + std::to_string(caller.tid) +
                           " refused with EPERM: " + *verdict.refusal,
                       user());
    return Refusal{EPERM, *verdict.refusal};
}

void JudgedOwner::not_made(const Notification &caller)
{
    OwnSink::sink.not_made(caller);
}

bool JudgedOwner::hear_announcement(const Notification &notification) const
{
    if (!is_announcement(notification)) {
        return false;
    }
    if (shared_.self_served) {
        const pid_t tid = notification.tid;
        const std::string status = shared_.procfs->read_if_alive(tid, "status").value_or("");
        SelfServed process{tid, comm_in_status(status), euid_in_status(status), peer()};
        if (!process.peer.empty()) {
            process.uid = user();
        }
        shared_.self_served(process);
    }
    return true;
}

} // namespace clone2::agent
