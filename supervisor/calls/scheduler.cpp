// SPDX-License-Identifier: MIT
#include "calls/scheduler.hpp"

#include "base/clock.hpp"

#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <limits>

namespace clone2
{

namespace
{

/// A thread that boots the same address space needs some 100 us. A postponed call is tried again
/// after a millisecond for each group of so many of its listener: if hundreds of threads make their
/// first call at once, trying all of them again takes longer than that.
constexpr unsigned tried_in_a_millisecond = 8;
/// A listener is kept if two calls arrive within this time, and for as long after the last.
constexpr std::chrono::milliseconds soon{20};

} // namespace

void Scheduler::add_listener(std::unique_ptr<Listener> listener,
                             std::shared_ptr<ListenerOwner> owner)
{
    const auto served =
        std::make_shared<ServedListener>(loop_, std::move(listener), std::move(owner));
    const Lock lock(*this);
    for (ServedListeners *const all : {&listeners_, &ready_, &waiting_}) {
        if (all->capacity() <= listeners_.size()) {
            all->reserve(2 * (listeners_.size() + 1));
        }
    }
    arm(served);
    listeners_.push_back(served);
}

void Scheduler::arm(const std::shared_ptr<ServedListener> &served)
{
    if (served->armed || served->waiting || served->kept || served->ended) {
        return;
    }
    if (!served->watch) {
        served->watch = loop_.watch(served->listener->fd());
    }
    // Its handler waits for the lock, which we hold.
    served->watch->wait_readable([this, served] {
        const Lock lock(*this);
        served->armed = false;
        make_ready(served);
    });
    served->armed = true;
}

void Scheduler::arm_again(const std::shared_ptr<ServedListener> &served)
{
    if (!succeeds([&] { arm(served); })) {
        make_ready(served);
    }
}

void Scheduler::make_ready(const std::shared_ptr<ServedListener> &served)
{
    if (!served->ready && !served->ended) {
        ready_.push_back(served);
        served->ready = true;
    }
}

/// Runs what may hold up this thread. The watchdog then takes care of the others.
template <typename Run>
void Scheduler::serving(Lock &lock, Run run)
{
    struct Serving { // also where it throws
        Lock &lock;
        unsigned &count;
        ~Serving()
        {
            lock.lock();
            --count;
        }
    };
    ++serving_;
    if (!watching_) {
        watching_ = true;
        wake_watchdog_.notify_one();
    }
    const Serving until_end{lock, serving_};
    lock.unlock();
    run();
}

bool Scheduler::serve_next(Lock &lock)
{
    if (!again_.empty() && (again_is_next_ || ready_.empty())) {
        again_is_next_ = false;
        serve_again(lock);
        return true;
    }
    if (!ready_.empty()) {
        again_is_next_ = true;
        take(lock);
        return true;
    }
    return false;
}

/// A postponed call holds up no thread, so it doesn't count as one in progress. If it did, the
/// reports of the threads that it waits for might not be received.
void Scheduler::postpone(Lock &lock, const std::shared_ptr<ServedListener> &served,
                         const Notification &notification)
{
    if (served->postponed >= max_postponed_) {
        (void)served->listener->answer(notification.id, -EAGAIN);
    } else if (try_later(served, notification)) {
        ++served->postponed;
    }
    call_is_through(lock, served);
}

/// Does not count it.
bool Scheduler::try_later(const std::shared_ptr<ServedListener> &served,
                          const Notification &notification)
{
    const std::chrono::milliseconds delay{1 + served->postponed / tried_in_a_millisecond};
    const bool can_be_tried = succeeds([&] {
        // Its place in again_, because the event loop's handler can't report a lack of memory.
        const auto place = std::make_shared<std::list<PostponedCall>>();
        place->push_back({served, notification});
        place->back().notification.postponed = true;
        loop_.after(delay, [this, place] {
            const Lock guard(*this);
            again_.splice(again_.end(), *place);
        });
    });
    if (!can_be_tried) {
        (void)served->listener->answer(notification.id, -ENOMEM);
    }
    return can_be_tried;
}

void Scheduler::serve_again(Lock &lock)
{
    const auto [served, notification] = again_.front();
    again_.pop_front();
    if (served->listener->still_valid(notification.id)) {
        // It may be held up now: its arguments' memory can have become unreadable.
        if (!has_room(*served)) {
            if (try_later(served, notification)) {
                return;
            }
        } else if (begin_call(*served)) {
            --served->postponed;
            serve(lock, served, notification);
            arm_again(served);
            return;
        } else {
            (void)served->listener->answer(notification.id, -ENOMEM);
        }
    }
    --served->postponed;
    end_if_last(lock, served);
}

bool Scheduler::begin_call(ServedListener &served)
{
    const bool counted = succeeds([&] { calls_.add(served.owner->user(), 1); });
    served.calls += counted ? 1 : 0;
    return counted;
}

void Scheduler::end_call(ServedListener &served)
{
    calls_.remove(served.owner->user(), 1);
    --served.calls;
}

/// A listener may take as much of its user's share as stays free there.
bool Scheduler::has_room(const ServedListener &served)
{
    const uid_t user = served.owner->user();
    if (!calls_.fits(user, 1)) {
        return false;
    }
    const std::uint64_t with_it = calls_.of(user) + 1;
    return served.calls == 0 || served.calls + 1 + with_it <= calls_.allowance(user);
}

void Scheduler::let_wait(const std::shared_ptr<ServedListener> &served)
{
    if (!served->waiting) {
        waiting_.push_back(served);
        served->waiting = true;
    }
    (void)succeeds([&] {
        const uid_t user = served->owner->user();
        if (told_to_wait_.insert(user).second) {
            served->owner->calls_wait(calls_.of(user));
        }
    });
}

void Scheduler::call_is_through(Lock &lock, const std::shared_ptr<ServedListener> &served)
{
    const uid_t user = served->owner->user();
    end_call(*served);
    if (calls_.of(user) == 0) {
        told_to_wait_.erase(user);
    }
    wake_waiting();
    end_if_last(lock, served);
}

/// A call has been answered or is gone.
void Scheduler::end_if_last(Lock &lock, const std::shared_ptr<ServedListener> &served)
{
    if (served->ended && served->calls + served->postponed == 0) {
        tell_end(lock, served);
    }
}

/// Wakes one listener for each user that may have another call; a user's listeners take turns. A
/// listener that is woken but has no call wakes the next. Without memory more of them are woken,
/// and wait again.
void Scheduler::wake_waiting()
{
    std::set<uid_t> looked_at;
    const auto is_done = [&](uid_t user) { (void)succeeds([&] { looked_at.insert(user); }); };
    std::erase_if(waiting_, [&](const std::shared_ptr<ServedListener> &one) {
        const uid_t its_user = one->owner->user();
        if (looked_at.contains(its_user)) {
            return false;
        }
        if (!has_room(*one)) {
            if (!calls_.fits(its_user, 1)) {
                is_done(its_user);
            }
            return false;
        }
        is_done(its_user);
        one->waiting = false;
        make_ready(one);
        return true;
    });
}

void Scheduler::end(Lock &lock, const std::shared_ptr<ServedListener> &served)
{
    served->ended = true;
    std::erase(listeners_, served);
    if (std::exchange(served->waiting, false)) {
        std::erase(waiting_, served);
    }
    wake_waiting();
    end_if_last(lock, served); // else its last call does
}

void Scheduler::take(Lock &lock)
{
    const std::shared_ptr<ServedListener> served = ready_.front();
    ready_.erase(ready_.begin());
    served->ready = false;
    // Checked under the lock, so that RECV finds what was seen: on an older kernel RECV waits
    // forever if all targets are gone.
    Seen seen{served->listener->pending(), true};
    while (take_from(lock, served, seen)) {
        if (!may_keep(*served)) {
            arm_again(served);
            return;
        }
        seen = keep(lock, served);
    }
}

/// Serves the listener's next call. False: there was none, or others go first.
bool Scheduler::take_from(Lock &lock, const std::shared_ptr<ServedListener> &served, Seen seen)
{
    if (!has_room(*served)) {
        let_wait(served); // the end of a call makes it ready
        return false;
    }
    switch (seen.pending) {
    case Listener::Pending::none:
        arm_again(served);
        wake_waiting();
        return false;
    case Listener::Pending::hung_up:
        end(lock, served);
        return false;
    case Listener::Pending::notification:
        break;
    }
    // A signal handler can only stop the loop, and no thread may have seen that yet. Checked after
    // pending(), so that a call made after the loop has stopped is not received.
    if (loop_.stopped()) {
        stop_all();
        return false;
    }
    const bool counted = begin_call(*served);
    const Result<Notification> notification = served->listener->receive();
    if (!notification || !counted) {
        if (notification) {
            (void)served->listener->answer(notification->id, -ENOMEM);
        } else if (counted) { // this caller died
            end_call(*served);
        }
        make_ready(served); // there may be others
        return false;
    }
    const std::int64_t now = now_ns(CLOCK_MONOTONIC);
    served->calls_follow = now - served->called_ns < std::chrono::nanoseconds(soon).count();
    served->called_ns = now;
    if (seen.more && served->listener->pending() == Listener::Pending::notification) {
        make_ready(served);
        // More threads than CPUs would only slow each other down. If all are held up, the watchdog
        // adds one.
        if (running_ && serving_ + 1 < cpus_) {
            (void)call_worker(lock);
        }
    }
    serve(lock, served, *notification);
    return true;
}

void Scheduler::serve(Lock &lock, const std::shared_ptr<ServedListener> &served,
                      const Notification &notification)
{
    CallHandler::Served result{};
    serving(lock, [&] { result = see_through(served, notification); });
    ++served_;
    if (result == CallHandler::Served::later) {
        postpone(lock, served, notification);
    } else {
        call_is_through(lock, served);
    }
}

/// Whether this thread, which has just served one of its calls, should wait for the next there.
bool Scheduler::may_keep(const ServedListener &served) const
{
    return running_ && !stopped_ && stop_event_ && served.calls_follow && keeping_ < cpus_ &&
           !served.armed && !served.ready && !served.waiting && !served.kept && !served.ended &&
           ready_.empty() && again_.empty();
}

/// Waits for the listener's next call. Nobody else receives from it meanwhile, so what this returns
/// still holds.
Scheduler::Seen Scheduler::keep(Lock &lock, const std::shared_ptr<ServedListener> &served)
{
    Seen seen;
    served->kept = true;
    ++keeping_;
    if (leading_ || call_worker(lock)) {
        served->watch.reset(); // the leader would wake up for each call
        lock.unlock();
        seen = {served->listener->pending(), true};
        if (seen.pending == Listener::Pending::none) {
            seen = {served->listener->wait(stop_event_.get(), soon), false};
        }
        lock.lock();
    }
    --keeping_;
    served->kept = false;
    return seen;
}

/// Catches every failure: no caller must be left waiting, and no thread of an embedding program may
/// end because of it.
CallHandler::Served Scheduler::see_through(const std::shared_ptr<ServedListener> &served,
                                           const Notification &notification) noexcept
{
    try {
        return handler_.serve({*served->listener, notification}, *served->owner);
    } catch (const std::exception &) { // no memory
        (void)served->listener->answer(notification.id, -ENOMEM);
        return CallHandler::Served::yes;
    }
}

/// Ends the owner's use of the listener. Called without the lock, because the owner may add another
/// one.
void Scheduler::tell_end(Lock &lock, const std::shared_ptr<ServedListener> &served)
{
    ++ending_;
    serving(lock, [&] {
        (void)succeeds([&] {
            const std::string peer = served->owner->peer_name();
            diagnostics_.info("a listener has ended" + (peer.empty() ? "" : ": " + peer));
        });
        (void)succeeds([&] {
            handler_.forget_callers();
            served->owner->ended(served->listener->fd());
        });
    });
    --ending_;
    end_without_listeners();
}

std::size_t Scheduler::serve_pending(std::size_t most)
{
    Lock lock(*this);
    const std::uint64_t before = served_;
    look(lock, std::numeric_limits<unsigned>::max());
    for (std::size_t taken = 0; taken < most && !stopped_; ++taken) {
        if (!serve_next(lock)) {
            break;
        }
    }
    if (!again_.empty() || !ready_.empty()) {
        loop_.after(std::chrono::milliseconds(0), [] {}); // the loop has something to report
    }
    return served_ - before;
}

std::size_t Scheduler::listener_count()
{
    const Lock lock(*this);
    return listeners_.size();
}

bool Scheduler::serves(int fd)
{
    std::vector<int> fds;
    {
        const Lock lock(*this);
        for (const std::shared_ptr<ServedListener> &served : listeners_) {
            fds.push_back(served->listener->fd());
        }
    }
    // A descriptor closed in the meantime is no longer a listener's, or it is a newer listener's,
    // which only our caller adds.
    const pid_t self = ::getpid();
    return std::any_of(fds.begin(), fds.end(), [&](int other) {
        return ::syscall(SYS_kcmp, self, self, KCMP_FILE, fd, other) == 0;
    });
}

} // namespace clone2
