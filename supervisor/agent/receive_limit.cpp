// SPDX-License-Identifier: MIT
#include "agent/receive_limit.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

namespace clone2::agent
{

namespace
{

constexpr int signal_number = SIGURG;
/// Repeated, because the first signal may arrive before the system call begins.
constexpr long limit_ns = 5'000'000;

void set(timer_t timer, long ns)
{
    itimerspec value{};
    value.it_value.tv_nsec = value.it_interval.tv_nsec = ns;
    ::timer_settime(timer, 0, &value, nullptr);
}

} // namespace

void ReceiveLimit::prepare()
{
    struct sigaction action {
    };
    action.sa_handler = [](int) {}; // no SA_RESTART: it only has to interrupt
    ::sigaction(signal_number, &action, nullptr);
}

ReceiveLimit &ReceiveLimit::of_this_thread()
{
    static thread_local ReceiveLimit limit;
    return limit;
}

ReceiveLimit::ReceiveLimit()
{
    // The scheduler's threads start with all signals blocked.
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

ReceiveLimit::~ReceiveLimit()
{
    if (made_) {
        ::timer_delete(timer_);
    }
}

void ReceiveLimit::start()
{
    if (made_) {
        set(timer_, limit_ns);
    }
}

void ReceiveLimit::stop()
{
    if (made_) {
        set(timer_, 0);
    }
}

} // namespace clone2::agent
