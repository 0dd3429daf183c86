// SPDX-License-Identifier: MIT
#include "scheduler_bench.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <map>
#include <thread>

using namespace clone2;
using namespace clone2::test;

namespace
{

using Served = CallHandler::Served;
using Answers = std::map<std::uint64_t, std::int64_t>;

template <typename Condition>
void wait_until(Condition condition)
{
    while (!condition()) { // alarm() is the limit
        std::this_thread::yield();
    }
}

} // namespace

TEST_CASE("Scheduler: postponed calls do not exceed their user's share")
{
    constexpr uid_t greedy_user = 1000;
    constexpr unsigned calls = 8;
    constexpr unsigned share = 2; // of one listener, whose user may have 4 of the 8
    std::atomic<unsigned> held{0};
    std::atomic<bool> released{false};
    SchedulerBench bench(
        [&](const PendingCall &pending, ListenerOwner &owner) {
            if (owner.user() == greedy_user) {
                if (!pending.notification().postponed) {
                    return Served::later;
                }
                // As if the memory of its arguments had become unreadable.
                ++held;
                released.wait(false);
            }
            (void)pending.answer(7);
            return Served::yes;
        },
        calls);
    FakeListener &greedy = bench.add_listener(greedy_user);
    FakeListener &other = bench.add_listener(greedy_user + 1);
    for (std::uint64_t id = 1; id <= calls; ++id) {
        greedy.call(id);
    }
    std::thread runner([&] { bench.scheduler.run(Scheduler::Until::stopped); });
    wait_until([&] { return held >= share; });
    greedy.forget_asked();
    // Who is asked about a second time was not let in after the first.
    wait_until([&] { return held > share || greedy.asked(2) == calls - share; });
    const unsigned held_at_once = held;
    CHECK(held_at_once == share);
    if (held_at_once == share) {
        other.call(calls + 1);
        wait_until([&] { return other.answers().size() == 1; });
    }
    released = true;
    released.notify_all();
    wait_until([&] { return greedy.answers().size() == calls; });
    bench.scheduler.stop();
    runner.join();
}

TEST_CASE("Scheduler: if too many of a listener's calls are postponed, the next one fails at once")
{
    constexpr std::uint64_t most = 5;
    constexpr std::uint64_t report = 100;
    bool booted = false;
    SchedulerBench bench(
        [&](const PendingCall &pending, ListenerOwner &) {
            if (!booted && pending.notification().id <= most + 1) {
                return Served::later;
            }
            (void)pending.answer(7);
            return Served::yes;
        },
        Scheduler::default_calls, most);
    FakeListener &listener = bench.add_listener(1000);
    FakeListener &other = bench.add_listener(1000);
    const auto serve_all = [&] { (void)bench.scheduler.serve_pending(1000); };
    for (std::uint64_t id = 1; id <= most + 1; ++id) {
        listener.call(id);
    }
    serve_all();
    CHECK(listener.answers() == Answers{{most + 1, -EAGAIN}});
    // What they wait for is still received, and so are others' calls.
    listener.call(report);
    other.call(1000);
    serve_all();
    CHECK(listener.answers() == Answers{{most + 1, -EAGAIN}, {report, 7}});
    CHECK(other.answers() == Answers{{1000, 7}});
    booted = true;
    serve_all();
    CHECK(listener.answers().size() == most + 2);
}
