// SPDX-License-Identifier: MIT
#include "api/pollable_loop.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <system_error>
#include <utility>

namespace clone2::api
{

namespace
{

// The sources of an event; watches get the ids after these.
constexpr std::uint64_t wake_id = 0;
constexpr std::uint64_t timer_id = 1;

int checked(int result, const char *operation)
{
    if (result < 0) {
        throw std::system_error(errno, std::generic_category(), operation);
    }
    return result;
}

int control(int epoll, int operation, int fd, std::uint32_t events, std::uint64_t id)
{
    epoll_event event{};
    event.events = events;
    event.data.u64 = id;
    return ::epoll_ctl(epoll, operation, fd, &event);
}

} // namespace

class PollableLoop::PollableWatch final : public EventLoop::Watch
{
public:
    PollableWatch(PollableLoop &loop, int fd, std::uint64_t id) : loop_(loop), fd_(fd), id_(id) {}
    ~PollableWatch() override
    {
        if (added_) {
            (void)control(loop_.epoll_.get(), EPOLL_CTL_DEL, fd_, 0, id_);
        }
    }

    void wait_readable(Handler handler) override
    {
        const Lock lock(loop_.mutex_);
        // Added only now, because epoll reports a hang-up even if no event is asked for.
        checked(control(loop_.epoll_.get(), added_ ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd_,
                        EPOLLIN | EPOLLONESHOT, id_),
                "epoll_ctl()");
        added_ = true;
        loop_.waiting_[id_] = std::move(handler); // run_ready() waits for the lock
    }

private:
    PollableLoop &loop_;
    int fd_;
    std::uint64_t id_;
    bool added_ = false;
};

PollableLoop::PollableLoop()
    : epoll_(checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1()")),
      wake_(checked(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd()")),
      timer_(checked(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
                     "timerfd_create()")),
      last_id_(timer_id)
{
    checked(control(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), EPOLLIN, wake_id), "epoll_ctl()");
    checked(control(epoll_.get(), EPOLL_CTL_ADD, timer_.get(), EPOLLIN, timer_id), "epoll_ctl()");
}

PollableLoop::~PollableLoop()
{
    // A handler may hold the last reference to an object that holds a watch.
    std::exchange(waiting_, {}).clear();
    std::exchange(timers_, {}).clear();
}

std::unique_ptr<EventLoop::Watch> PollableLoop::watch(int fd)
{
    const Lock lock(mutex_);
    return std::make_unique<PollableWatch>(*this, fd, ++last_id_);
}

void PollableLoop::after(std::chrono::milliseconds delay, Handler handler)
{
    const Lock lock(mutex_);
    timers_.emplace(Clock::now() + delay, std::move(handler));
    set_timer();
}

void PollableLoop::set_timer()
{
    itimerspec when{};
    if (!timers_.empty()) {
        // 0 would disarm the timer.
        const auto left = std::max<std::chrono::nanoseconds>(timers_.begin()->first - Clock::now(),
                                                             std::chrono::nanoseconds(1));
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
        when.it_value.tv_sec = seconds.count();
        when.it_value.tv_nsec = (left - seconds).count();
    }
    checked(::timerfd_settime(timer_.get(), 0, &when, nullptr), "timerfd_settime()");
}

EventLoop::Handler PollableLoop::due_timer()
{
    Handler handler;
    if (!timers_.empty() && timers_.begin()->first <= Clock::now()) {
        handler = std::move(timers_.begin()->second);
        timers_.erase(timers_.begin());
    }
    set_timer(); // also makes the descriptor unreadable
    return handler;
}

bool PollableLoop::run(int timeout_ms)
{
    while (!stopped_) {
        epoll_event event{};
        const int count = ::epoll_wait(epoll_.get(), &event, 1, timeout_ms);
        if (count == 0) {
            return false;
        }
        if (count < 0) {
            if (errno != EINTR) {
                throw std::system_error(errno, std::generic_category(), "epoll_wait()");
            }
            continue;
        }
        Handler handler;
        {
            const Lock lock(mutex_);
            if (event.data.u64 == timer_id) {
                handler = due_timer();
            } else if (const auto waiting = waiting_.find(event.data.u64);
                       waiting != waiting_.end()) {
                handler = std::move(waiting->second);
                waiting_.erase(waiting);
            }
        }
        if (handler) {
            handler();
            return true;
        }
    }
    return false;
}

void PollableLoop::stop()
{
    const int kept = errno;
    stopped_ = true;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
    errno = kept;
}

void PollableLoop::restart()
{
    stopped_ = false;
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t n = ::read(wake_.get(), &count, sizeof count);
}

} // namespace clone2::api
