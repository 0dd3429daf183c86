// SPDX-License-Identifier: MIT
// Whatever allocation fails, every call is answered and the next one is served.
#include "call_bench.hpp"
#include "failing_memory.hpp"
#include "real_call.hpp"
#include "scheduler_bench.hpp"

#include <doctest/doctest.h>

#include <poll.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <new>

using namespace clone2;
using namespace clone2::test;

namespace
{

using Served = CallHandler::Served;

void serve_all(Scheduler &scheduler)
{
    for (int times = 0; times < 5; ++times) {
        try {
            (void)scheduler.serve_pending(100);
        } catch (const std::bad_alloc &) { // for who runs it
        }
    }
}

/// Whether there were so many calls, and each was served or failed with ENOMEM.
bool all_answered(const FakeListener &listener, std::size_t calls)
{
    const auto answers = listener.answers();
    return answers.size() == calls && std::all_of(answers.begin(), answers.end(), [](auto answer) {
               return answer.second == 7 || answer.second == -ENOMEM;
           });
}

/// Serves calls while allocations fail, and others after that. Returns whether any has failed.
bool schedule_without_memory(FailingMemory::Kind kind, unsigned nth)
{
    constexpr std::uint64_t later = 1;
    SchedulerBench bench([&](const PendingCall &pending, ListenerOwner &) {
        const Notification &notification = pending.notification();
        if (notification.id == later && !notification.postponed) {
            return Served::later;
        }
        (void)pending.answer(7);
        return Served::yes;
    });
    FakeListener &one = bench.add_listener(1000);
    FakeListener &other = bench.add_listener(1001);
    one.call(later);
    one.call(2);
    other.call(3);
    bool failed = false;
    {
        const FailingMemory failing(kind, nth);
        serve_all(bench.scheduler);
        failed = failing.has_failed();
    }
    serve_all(bench.scheduler);
    CHECK(all_answered(one, 2));
    CHECK(all_answered(other, 1));
    one.call(4);
    other.call(5);
    serve_all(bench.scheduler);
    CHECK(one.answers()[4] == 7);
    CHECK(other.answers()[5] == 7);
    one.hang_up();
    other.hang_up();
    serve_all(bench.scheduler);
    CHECK(bench.scheduler.listener_count() == 0);
    return failed;
}

/// As the Scheduler does.
void serve_or_refuse(Bench &bench, Listener &listener, const Notification &call)
{
    try {
        serve(bench, listener, call);
    } catch (const std::bad_alloc &) {
        (void)listener.answer(call.id, -ENOMEM);
    }
}

/// Serves real calls while allocations fail. Returns whether any has
/// failed; nullopt: no call can be served here.
std::optional<bool> serve_without_memory(unsigned nth)
{
    Sockets sockets = make_sockets();
    Grandchild target = target_under_filter(sockets, by(nr), [&] {
        CloneStruct args = args_of(sigchld, 0);
        for (int i = 0; i < 2; ++i) {
            if (!make_and_reap(args, 3) && errno != ENOMEM && errno != ENOSYS) {
                return 1;
            }
        }
        return 0;
    });
    sockets.theirs.reset();
    ReceivedListener received = receive_listener(sockets.ours.get());
    REQUIRE(received.fd);
    Listener listener(std::move(received.fd), std::nullopt); // how it was installed is found out
    Bench bench;
    bool failed = false;
    {
        const FailingMemory failing(FailingMemory::Kind::once, nth);
        while (listener.pending() != Listener::Pending::hung_up) {
            pollfd entry{listener.fd(), POLLIN, 0};
            (void)poll(&entry, 1, -1);
            if (const auto call = listener.receive()) {
                serve_or_refuse(bench, listener, *call);
            }
        }
        failed = failing.has_failed();
    }
    if (may_not_trace(bench.records.all())) {
        return std::nullopt;
    }
    CHECK(WEXITSTATUS(target.status()) == 0);
    return failed;
}

} // namespace

TEST_CASE("Scheduler: no call is lost, nor a listener, when there is no memory")
{
    for (const auto kind : {FailingMemory::Kind::once, FailingMemory::Kind::all}) {
        unsigned nth = 0;
        while (schedule_without_memory(kind, nth)) {
            ++nth;
        }
        CHECK(nth > 3);
    }
}

TEST_CASE("CallHandler: no call hangs when there is no memory")
{
    unsigned nth = 0;
    std::optional<bool> failed = serve_without_memory(nth);
    while (failed.value_or(false)) {
        failed = serve_without_memory(++nth);
    }
    CHECK((nth > 10 || !failed));
}
