// SPDX-License-Identifier: MIT
#include "executor/seizures.hpp"

#include "arch/architecture.hpp"

#include <cerrno>

namespace clone2
{

Seizures::Entry::Entry(Seizures &all, pid_t tid) : all_(all), tid_(tid)
{
    const Lock lock(all_.mutex_);
    place_ = all_.entries_.insert(all_.entries_.end(), this);
}

Seizures::Entry::~Entry()
{
    const Lock lock(all_.mutex_);
    all_.entries_.erase(place_);
    all_.changed_.notify_all();
}

Seizures::Entry *Seizures::other(const Entry &entry) const
{
    for (Entry *const candidate : entries_) {
        if (candidate != &entry && candidate->tid_ == entry.tid_) {
            return candidate;
        }
    }
    return nullptr;
}

Result<Tracee> Seizures::Entry::seize(const PendingCall &pending, Waiting waiting)
{
    for (bool others = true;;) {
        Result<Tracee> seized = Tracee::seize(tid_, waiting);
        if (seized || seized.error().cause != Cause::not_traceable || !others) {
            return seized;
        }
        // Tries again even if there are none: one may just have gone.
        others = wait_for_others(pending);
        if (!pending.still_waits()) {
            return Error{"ptrace(PTRACE_SEIZE)", tid_, ESRCH};
        }
    }
}

bool Seizures::Entry::wait_for_others(const PendingCall &pending)
{
    Lock lock(all_.mutex_);
    bool waited = false;
    while (Entry *const tracer = all_.other(*this)) {
        // Under the lock: the other looks for `again_` when the target has stopped, after this
        // answer.
        if (tracer->wrong_ && !tracer->again_ && pending.answer(-ENOSYS)) {
            tracer->again_ = pending.notification();
            return true;
        }
        if (!pending.still_waits()) {
            return true;
        }
        waited = true;
        all_.changed_.wait(lock);
    }
    return waited;
}

void Seizures::Entry::let_go(Tracee &tracee)
{
    if (!tracee.interrupt()) {
        return;
    }
    {
        const Lock lock(all_.mutex_);
        wrong_ = true;
        all_.changed_.notify_all();
    }
    if (!tracee.wait_for_stop()) {
        return;
    }
    std::optional<Notification> again;
    {
        const Lock lock(all_.mutex_);
        wrong_ = false;
        again = again_;
    }
    if (again) {
        (void)architecture_of(*again).reissue(tracee, *again, again->nr, true);
    }
    (void)tracee.detach();
}

} // namespace clone2
