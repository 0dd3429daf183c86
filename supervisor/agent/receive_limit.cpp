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
/// Again and again: the first may come before the system call that it is to interrupt.
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
    action.sa_handler = [](int) {}; // no SA_RESTART: that it comes is all
    ::sigaction(signal_number, &action, nullptr);
}

ReceiveLimit &ReceiveLimit::of_this_thread()
{
    static thread_local ReceiveLimit limit;
    return limit;
}

ReceiveLimit::ReceiveLimit()
{
    // The threads of a Scheduler are made with all signals blocked.
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
