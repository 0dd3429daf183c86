// SPDX-License-Identifier: MIT
//
// The scheduler's threads: who leads, who is parked, what the watchdog does, how it all ends.
#include "base/clock.hpp"
#include "base/thread.hpp"
#include "calls/scheduler.hpp"

#include <sys/eventfd.h>

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <utility>

namespace clone2
{

namespace
{

/// Parked threads beyond this number end.
constexpr unsigned max_parked = 4;
/// A call is held up if no call has ended for this long, or if it has taken the longer time while
/// others end.
constexpr std::chrono::milliseconds held_up{2};
constexpr std::chrono::milliseconds held_up_beside_others{20};
/// The watchdog sleeps after this many rounds without a call.
constexpr unsigned quiet_rounds = 20;
/// A busy listener must not keep other listeners, or a stop, from being noticed.
constexpr std::uint64_t calls_between_looks = 32;
/// The most handlers run in one such look, because there may always be another one, too.
constexpr unsigned handlers_in_look = 64;

} // namespace

bool Scheduler::call_worker(Lock &lock)
{
    if (parked_ > called_) {
        ++called_;
        wake_worker_.notify_one();
        return true;
    }
    return start_worker(lock);
}

bool Scheduler::start_worker(Lock &lock)
{
    // On a busy machine it may take long until a thread runs: enough calls for thousands of them.
    if (starting_) {
        return true;
    }
    ++workers_;
    starting_ = true;
    try {
        Thread([this] {
            {
                const Lock guard(*this);
                starting_ = false;
            }
            try {
                work(true);
            } catch (const std::exception &error) {
                warn("a thread ends: ", error);
            }
            const Lock guard(*this);
            --workers_;
            worker_ended_.notify_all();
        }).detach();
        told_of_no_thread_ = false;
        return true;
    } catch (const std::exception &error) {
        --workers_; // the next calls wait until a thread is free again
        starting_ = false;
        if (!std::exchange(told_of_no_thread_, true)) {
            lock.unlock();
            warn("no further thread: ", error);
            lock.lock();
        }
        return false;
    }
}

void Scheduler::warn(const char *what, const std::exception &error)
{
    (void)succeeds([&] { diagnostics_.warn(std::string(what) + error.what()); });
}

void Scheduler::work(bool may_end)
{
    Lock lock(*this);
    while (!stopped_) {
        if (!leading_ && served_ - looked_ > calls_between_looks) {
            look(lock, handlers_in_look);
        } else if (serve_next(lock)) {
            continue;
        } else if (!leading_) {
            lead(lock);
        } else if (may_end && parked_ >= max_parked) {
            return;
        } else {
            ++parked_;
            lock.wait(wake_worker_, [this] { return called_ > 0 || stopped_; });
            --parked_;
            called_ -= called_ > 0 ? 1 : 0;
        }
    }
}

void Scheduler::lead(Lock &lock)
{
    // Handlers only mark what is ready.
    if (!leading(lock, [this] { return loop_.run_one(); })) {
        stop_all();
    }
}

template <typename Run>
bool Scheduler::leading(Lock &lock, Run run)
{
    struct Leading { // unwinds even if marking fails for lack of memory
        Lock &lock;
        bool &flag;
        ~Leading()
        {
            lock.lock();
            flag = false;
        }
    };
    leading_ = true;
    const Leading until_end{lock, leading_};
    lock.unlock();
    return run();
}

/// Like lead(), but does not wait.
void Scheduler::look(Lock &lock, unsigned most)
{
    const bool stopped = leading(lock, [this, most] {
        for (unsigned i = 0; i < most && loop_.run_ready(); ++i) {
        }
        return loop_.stopped();
    });
    looked_ = served_;
    if (stopped) {
        stop_all();
    }
}

void Scheduler::watch_over()
{
    Lock lock(*this);
    while (!stopped_) {
        lock.wait(wake_watchdog_, [this] { return watching_ || stopped_; });
        for (unsigned quiet = 0; quiet < quiet_rounds && !stopped_;) {
            const std::uint64_t before = served_;
            lock.wait_for(wake_watchdog_, held_up, [this] { return stopped_; });
            const bool others_end = served_ != before;
            const bool found =
                serving_ != 0 && find_held_up(others_end ? held_up_beside_others : held_up);
            // Without a leader, or with work that nobody could be found for, nothing would wake us.
            const bool cared_for = leading_ && ready_.empty() && again_.empty();
            if (found || (serving_ != 0 && !others_end && !cared_for)) {
                call_anybody(lock);
            }
            quiet = !others_end && (serving_ == 0 || cared_for) ? quiet + 1 : 0;
        }
        watching_ = false;
    }
}

/// Makes those listeners ready that nobody attends to because a thread has been in their last call
/// for this time. False: there are none.
bool Scheduler::find_held_up(std::chrono::nanoseconds time)
{
    const std::int64_t since = now_ns(CLOCK_MONOTONIC) - time.count();
    bool found = false;
    for (const std::shared_ptr<ServedListener> &served : listeners_) {
        if (!served->armed && !served->waiting && !served->kept && !served->ready &&
            served->called_ns <= since) {
            make_ready(served);
            found = true;
        }
    }
    return found;
}

/// Has a thread serve what is ready: one that is parked or new; else the leader, if one sleeps.
void Scheduler::call_anybody(Lock &lock)
{
    if (!call_worker(lock) && leading_) {
        (void)succeeds([&] { loop_.after(std::chrono::milliseconds(0), [] {}); });
    }
}

void Scheduler::stop_all()
{
    stopped_ = true;
    loop_.stop();
    (void)::eventfd_write(stop_event_.get(), 1); // -1 if there is none
    wake_worker_.notify_all();
    wake_watchdog_.notify_all();
}

void Scheduler::end_without_listeners()
{
    if (running_ && listeners_.empty() && ending_ == 0 && until_ == Until::no_listener) {
        finished_ = true;
        stop_all();
    }
}

void Scheduler::stop()
{
    const Lock lock(*this);
    stop_all();
}

void Scheduler::run(Until until, const std::function<void()> &begin)
{
    std::optional<Thread> watchdog;
    {
        const Lock lock(*this);
        if (until == Until::no_listener && listeners_.empty() && !begin) {
            return;
        }
        watchdog.emplace([this] { watch_over(); });
        until_ = until;
        stop_event_ = Fd(::eventfd(stopped_ ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK));
        running_ = true;
    }
    std::exception_ptr failure;
    try {
        if (begin) {
            begin();
            const Lock lock(*this);
            end_without_listeners();
        }
        work(false);
    } catch (...) {
        failure = std::current_exception();
        stop();
    }
    watchdog.reset();
    // With all targets gone, no thread can be held up for long.
    Lock lock(*this);
    lock.wait(worker_ended_, [this] { return workers_ == 0; });
    running_ = false;
    stopped_ = stopped_ && !std::exchange(finished_, false);
    if (failure) {
        std::rethrow_exception(failure);
    }
}

} // namespace clone2
