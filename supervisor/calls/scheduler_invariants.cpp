// SPDX-License-Identifier: MIT
//
// What the Scheduler relies on whenever its lock is let go. Compiled into test builds only
// (-Dinvariants=true, or a sanitizer).
#include "calls/scheduler.hpp"

#ifdef CLONE2_INVARIANTS

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace clone2
{

void Scheduler::check_invariants() const
{
    const auto must = [this](bool holds, const char *reason) {
        if (!holds) {
            fail_invariant(reason);
        }
    };
    const bool at_work = running_ && !stopped_;
    const bool postponed = std::any_of(listeners_.begin(), listeners_.end(),
                                       [](const auto &one) { return one->postponed > 0; });
    const bool wakes = calls_.used() > 0 || postponed || !ready_.empty() || stopped_;
    const std::uint64_t busy = std::uint64_t{serving_} + parked_ + keeping_ + (leading_ ? 1 : 0);
    const auto flagged = [this](bool ServedListener::*flag) {
        return static_cast<std::size_t>(std::count_if(listeners_.begin(), listeners_.end(),
                                                      [&](const auto &one) { return *one.*flag; }));
    };

    // clang-format off
    must(called_ <= parked_, "who is called is parked: else the call wakes nobody");
    must(busy <= std::uint64_t{workers_} + 1, "a thread serves, leads, keeps a listener or is parked, one at a time");
    must(running_ || workers_ + parked_ == 0, "no thread is left when run() has returned");
    must(!at_work || serving_ == 0 || leading_ || watching_, "if all are held up, the watchdog calls somebody");
    must(!(running_ && stopped_) || loop_.stopped(), "a stop reaches the leader, who sleeps in the loop");
    must(!finished_ || (stopped_ && until_ == Until::no_listener), "only the want of listeners is taken back");
    must(looked_ <= served_, "calls since the last look are counted: else none is ever due");
    must(ending_ <= serving_, "telling an owner of an end may be held up as a call may");
    must(serving_ - ending_ <= calls_.used(), "each call under way counts as its user's");
    must(waiting_.empty() || wakes, "who waits is woken by a call's end, or by who was woken before");
    must(flagged(&ServedListener::ready) == ready_.size(), "in ready_ is what is flagged so, once, and has not ended");
    must(flagged(&ServedListener::kept) == keeping_, "each keeper has a listener of its own, which does not end meanwhile");
    must(flagged(&ServedListener::waiting) == waiting_.size(), "in waiting_, too: an ended one would be woken for nothing");
    for (const auto &one : ready_) {
        must(one->ready && !one->ended, "what is flagged otherwise is put into ready_ twice");
    }
    for (const auto &one : waiting_) {
        must(one->waiting && !one->ended, "what is flagged otherwise is put into waiting_ twice");
    }
    for (const auto &[one, notification] : again_) {
        must(one->postponed > 0, "a call to be served again is postponed: its listener's end is not reported");
    }
    for (const auto &one : listeners_) {
        const bool seen = one->armed || one->ready || one->waiting || one->kept || stopped_;
        must(!one->ended, "what has ended is served no more");
        must(seen || (one->calls > 0 && serving_ > 0), "somebody will see its next call");
        must(one->calls <= calls_.of(one->owner->user()), "a listener's calls are its user's");
    }
    // clang-format on
}

void Scheduler::fail_invariant(const char *reason) const
{
    std::fprintf(
        stderr,
        "scheduler: not so: %s\n"
        "  ready %zu again %zu listeners %zu waiting %zu calls %llu\n"
        "  workers %u parked %u called %u serving %u ending %u keeping %u served %llu looked %llu\n"
        "  leading %d watching %d running %d stopped %d finished %d\n",
        reason, ready_.size(), again_.size(), listeners_.size(), waiting_.size(),
        static_cast<unsigned long long>(calls_.used()), workers_, parked_, called_, serving_,
        ending_, keeping_, static_cast<unsigned long long>(served_),
        static_cast<unsigned long long>(looked_), leading_, watching_, running_, stopped_,
        finished_);
    for (const auto &one : listeners_) {
        std::fprintf(
            stderr,
            "  listener %d: armed %d ready %d waiting %d kept %d ended %d calls %u postponed %u\n",
            one->listener->fd(), one->armed, one->ready, one->waiting, one->kept, one->ended,
            one->calls, one->postponed);
    }
    std::abort();
}

} // namespace clone2

#endif
