// SPDX-License-Identifier: MIT
#include "filter/seccomp_filter.h"
#include "scheduler_bench.hpp"

#include <doctest/doctest.h>

#include <sys/syscall.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iterator>
#include <map>
#include <sched.h>
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

/// This thread, and those that it creates, run before other processes and until they sleep.
void go_before_others()
{
    const sched_param lowest{1};
    REQUIRE(sched_setscheduler(0, SCHED_FIFO, &lowest) == 0);
}

/// For the whole process, from now on.
void forbid_threads()
{
    std::array<sock_filter, 5> steps{};
    sock_fprog program{0, steps.data()};
    filter_load(&program, nr);
    filter_if_equal(&program, SYS_clone3, 1, 0);
    filter_if_equal(&program, SYS_clone, 0, 1);
    filter_answer(&program, SECCOMP_RET_ERRNO | EAGAIN);
    filter_answer(&program, SECCOMP_RET_ALLOW);
    filter_options how{SECCOMP_FILTER_FLAG_TSYNC, 0, true, 0};
    REQUIRE(filter_install(&program, &how) == 0);
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

TEST_CASE("Scheduler: steady calls of one listener don't keep others' held-up calls from notice")
{
    // In a process of its own, which a busy machine seldom interrupts: when no call ends for a
    // while, all that is held up is noticed anyway.
    Child child([] {
        constexpr uid_t user = 1000;
        constexpr std::uint64_t most = 600; // 200 in the time that a held-up call has
        std::uint64_t calls = 0;
        const std::chrono::microseconds pause{100};
        std::atomic<bool> released{false};
        std::atomic<bool> held{false};
        SchedulerBench bench([&](const PendingCall &pending, ListenerOwner &owner) {
            if (owner.user() != user && pending.notification().id == 1) {
                held = true;
                released.wait(false);
            }
            (void)pending.answer(7);
            return Served::yes;
        });
        FakeListener &steady = bench.add_listener(user);
        FakeListener &other = bench.add_listener(user + 1);
        go_before_others();
        std::thread driver([&] {
            std::uint64_t id = 0;
            const auto call_until = [&](const std::function<bool()> &condition) {
                while (!condition()) {
                    steady.call(++id);
                    wait_until([&] { return steady.answers().contains(id); });
                    std::this_thread::sleep_for(pause);
                }
            };
            call_until([&] { return id == 100; }); // one thread keeps it, another one leads
            other.call(1);
            call_until([&] { return held.load(); });
            other.call(2);
            const std::uint64_t before = id;
            call_until([&] { return other.answers().contains(2); });
            calls = id - before;
            released = true;
            released.notify_all();
            bench.scheduler.stop();
        });
        bench.scheduler.run(Scheduler::Until::stopped);
        driver.join();
        return calls <= most ? 0 : 1;
    });
    CHECK(child.wait() == 0);
}

TEST_CASE("Scheduler: without a further thread, the leader serves what a held-up call leaves")
{
    // In a process of its own, whose filter forbids threads at the right moment.
    Child child([] {
        constexpr std::uint64_t last = 100;
        std::atomic<bool> released{false};
        std::atomic<std::uint64_t> held{0};
        SchedulerBench bench([&](const PendingCall &pending, ListenerOwner &) {
            if (pending.notification().id == held) {
                released.wait(false);
            }
            (void)pending.answer(7);
            return Served::yes;
        });
        FakeListener &listener = bench.add_listener(1000);
        std::thread driver([&] {
            const auto make = [&](std::uint64_t id) {
                listener.call(id);
                wait_until([&] { return listener.answers().contains(id); });
            };
            // They follow each other closely: one thread keeps the listener, another one leads.
            for (std::uint64_t id = 1; id < last; ++id) {
                make(id);
            }
            forbid_threads();
            held = last;
            listener.call(last);
            make(last + 1);
            released = true;
            released.notify_all();
            bench.scheduler.stop();
        });
        bench.scheduler.run(Scheduler::Until::stopped);
        driver.join();
        return 0;
    });
    CHECK(child.wait() == 0);
}

TEST_CASE("Scheduler: if a new thread does not get to run, no further one is started")
{
    Child child([] {
        constexpr std::uint64_t last = 200;
        constexpr std::ptrdiff_t most = 8;
        std::ptrdiff_t threads = 0;
        SchedulerBench *made = nullptr;
        FakeListener *steady = nullptr;
        SchedulerBench bench([&](const PendingCall &pending, ListenerOwner &) {
            const std::uint64_t id = pending.notification().id;
            if (id < last) {
                steady->call(id + 1);
            } else {
                threads = std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
                made->scheduler.stop();
            }
            (void)pending.answer(7);
            return Served::yes;
        });
        made = &bench;
        steady = &bench.add_listener(1000);
        // From now on a thread runs when no other one can.
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(sched_getcpu(), &one);
        REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
        go_before_others();
        steady->call(1);
        bench.scheduler.run(Scheduler::Until::stopped);
        return threads <= most ? 0 : 2;
    });
    CHECK(child.wait() == 0);
}
