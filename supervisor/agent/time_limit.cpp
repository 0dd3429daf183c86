// SPDX-License-Identifier: MIT
#include "agent/time_limit.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

namespace clone2::agent
{

namespace
{

constexpr int signal_number = SIGURG;

} // namespace

void TimeLimit::prepare()
{
    struct sigaction action {
    };
    action.sa_handler = [](int) {}; // no SA_RESTART: it only has to interrupt
    ::sigaction(signal_number, &action, nullptr);
}

TimeLimit &TimeLimit::of_this_thread()
{
    static thread_local TimeLimit limit;
    return limit;
}

TimeLimit::TimeLimit()
{
    // The agent's threads start with all signals blocked.
    sigset_t ours;
    ::sigemptyset(&ours);
    ::sigaddset(&ours, signal_number);
    ::pthread_sigmask(SIG_UNBLOCK, &ours, nullptr);
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = signal_number;
    event._sigev_un._tid = static_cast<pid_t>(::syscall(SYS_gettid)); // glibc has no name for it
    made_ = ::timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0;
}

TimeLimit::~TimeLimit()
{
    if (made_) {
        ::timer_delete(timer_);
    }
}

void TimeLimit::set(std::chrono::nanoseconds time)
{
    if (made_) {
        itimerspec value{};
        value.it_value.tv_nsec = value.it_interval.tv_nsec = time.count();
        ::timer_settime(timer_, 0, &value, nullptr);
    }
}

} // namespace clone2::agent
