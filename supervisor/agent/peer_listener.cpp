// SPDX-License-Identifier: MIT
#include "agent/peer_listener.hpp"

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

PeerListener::PeerListener(const Shared &shared, Subject subject, int listener,
                           std::optional<ListenerNote> note, std::function<void()> on_end)
    : OwnSink{{shared.audit, shared.procfs}},
      ListenerOwner(OwnSink::sink, subject.calls.value_or(shared.calls)), shared_(shared),
      subject_(std::move(subject)), listener_(listener), note_(std::move(note)),
      on_end_(std::move(on_end))
{
}

void PeerListener::received(const Notification &notification)
{
    if (note_) {
        note_->received(listener_, notification.id);
    }
}

std::optional<Refusal> PeerListener::screen(const Notification &notification)
{
    if (notification.tid == 0) {
        // The kernel reports tid 0 if the caller has no pid in our pid namespace.
        const std::string why = "the caller is in a pid namespace that the agent can't see";
        if (!told_invisible_.exchange(true)) {
            shared_.diagnostics.warn(subject_.name() + ": calls refused with EPERM: " + why +
                                     "; run the agent in an ancestor of that namespace (on the "
                                     "host, or with hostPID)");
        }
        return Refusal{EPERM, why};
    }
    return std::nullopt;
}

void PeerListener::not_trapped(const Notification &notification)
{
    if (!told_number_.exchange(true)) {
        shared_.diagnostics.warn(subject_.name() + ": calls refused with ENOSYS: system call " +
                                 number_text(notification.arch, notification.nr) + " is not " +
                                 calls().text() +
                                 ", which is clone2 here (see --nr, and "
                                 "the SCMP_ACT_NOTIFY of its profile)");
    }
}

std::optional<Refusal> PeerListener::judge(pid_t tid, const Request &request)
{
    const std::shared_ptr<const Policy> policy = shared_.policy.current();
    if (!policy) {
        return std::nullopt;
    }
    Verdict verdict = policy->judge(subject_, request);
    const bool thread = (request.flags & CLONE_THREAD) != 0;
    if (!verdict.refusal && verdict.max_children && !thread &&
        !OwnSink::sink.admit(tid, *verdict.max_children)) {
        verdict.refusal = std::to_string(*verdict.max_children) + " children are already alive";
    }
    if (!verdict.refusal) {
        return std::nullopt;
    }
    shared_.diagnostics.warn(subject_.name() + ": a call of thread " + std::to_string(tid) +
                             " refused with EPERM: " + *verdict.refusal);
    return Refusal{EPERM, *verdict.refusal};
}

void PeerListener::calls_wait(std::uint64_t held)
{
    shared_.diagnostics.warn("uid " + std::to_string(subject_.uid) + ": " + std::to_string(held) +
                             " calls are under way and held up, further ones wait (--budget)");
}

void PeerListener::ended(int /*fd*/)
{
    charges_.clear();
    on_end_();
}

} // namespace clone2::agent
