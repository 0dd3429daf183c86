// SPDX-License-Identifier: MIT
#include "loop/event_loop.hpp"

#include "api/pollable_loop.hpp"
#include "filter/seccomp_filter.h"
#include "support.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

using namespace clone2;
using namespace clone2::test;
using namespace std::chrono_literals;

namespace
{

std::vector<std::unique_ptr<EventLoop>> loops()
{
    std::vector<std::unique_ptr<EventLoop>> made;
    made.push_back(make_epoll_loop());
    CHECK(std::string(made.back()->name()) == "epoll");
    // The kernel releases the rings of earlier loops in the background; until then they count
    // against RLIMIT_MEMLOCK.
    constexpr int patience = 100;
    for (int i = 0; i < patience && made.size() < 2; ++i) {
        try {
            made.push_back(make_io_uring_loop());
            CHECK(std::string(made.back()->name()) == "io_uring");
        } catch (const std::system_error &error) {
            if (error.code().value() != ENOMEM || i + 1 == patience) {
                left_out("io_uring", error.what());
                break;
            }
            std::this_thread::sleep_for(20ms);
        }
    }
    made.push_back(std::make_unique<api::PollableLoop>());
    return made;
}

/// Refuses rings of at least `entries` entries for the rest of this process.
bool refuse_io_uring(int err, unsigned entries)
{
    std::array<sock_filter, 6> steps{};
    sock_fprog program{0, steps.data()};
    filter_load(&program, nr);
    filter_if_equal(&program, SYS_io_uring_setup, 0, 3);
    filter_load(&program, args[0]);
    filter_add(&program, BPF_JMP | BPF_JGE | BPF_K, entries, 0, 1);
    filter_answer(&program, SECCOMP_RET_ERRNO | static_cast<unsigned>(err));
    filter_answer(&program, SECCOMP_RET_ALLOW);
    filter_options how{0, 0, true, 0};
    return filter_install(&program, &how) == 0;
}

/// Runs the loop until `done`; only handlers count as progress.
template <typename Done>
void run_until(EventLoop &loop, Done done)
{
    while (!done()) {
        REQUIRE(loop.run_one());
    }
}

} // namespace

TEST_CASE("make_event_loop: makes the loop asked for")
{
    CHECK(std::string(make_event_loop(LoopChoice::epoll)->name()) == "epoll");
    CHECK(std::string(make_event_loop(LoopChoice::automatic)->name()) == "epoll");
}

TEST_CASE("make_event_loop: io_uring refused")
{
    enum Status { good, no_filter, made, other_exception, not_automatic };
    struct Case {
        int err;
        unsigned entries;
    };
    // Refused by containers, by older ones, and by RLIMIT_MEMLOCK, which allows a tiny ring.
    for (const Case &one : {Case{EPERM, 0}, Case{ENOSYS, 0}, Case{ENOMEM, 0}, Case{ENOMEM, 64}}) {
        CAPTURE(one.err);
        CAPTURE(one.entries);
        Child child([&] {
            if (!refuse_io_uring(one.err, one.entries)) {
                return no_filter;
            }
            try {
                const auto loop = make_io_uring_loop();
                return made;
            } catch (const std::system_error &) {
                // As documented.
            } catch (const std::exception &) {
                return other_exception;
            }
            try {
                const auto loop = make_event_loop(LoopChoice::automatic);
                return std::string(loop->name()) == "epoll" ? good : not_automatic;
            } catch (const std::exception &) {
                return not_automatic;
            }
        });
        CHECK(WEXITSTATUS(child.wait()) == good);
    }
}

TEST_CASE("EventLoop: a wait fires once, when there is something to read")
{
    for (const auto &loop : loops()) {
        CAPTURE(std::string(loop->name()));
        Pipe pipe = make_pipe();
        const auto watch = loop->watch(pipe.read.get());
        int fired = 0;
        int timers = 0;
        const auto let_a_timer_pass = [&] {
            const int before = timers;
            loop->after(10ms, [&] { ++timers; });
            run_until(*loop, [&] { return timers > before; });
        };
        watch->wait_readable([&] { ++fired; });
        let_a_timer_pass();
        CHECK(fired == 0); // nothing to read yet
        put_byte(pipe.write);
        run_until(*loop, [&] { return fired > 0; });
        CHECK(fired == 1);
        put_byte(pipe.write); // no wait is outstanding
        let_a_timer_pass();
        CHECK(fired == 1);
        watch->wait_readable([&] { ++fired; }); // already readable
        run_until(*loop, [&] { return fired > 1; });
        let_a_timer_pass();
        CHECK(fired == 2);
        CHECK(get_byte(pipe.read) == 'x'); // the loop has read nothing
        CHECK(get_byte(pipe.read) == 'x');
    }
}

TEST_CASE("EventLoop: a hang-up counts as something to read")
{
    for (const auto &loop : loops()) {
        CAPTURE(std::string(loop->name()));
        Pipe pipe = make_pipe();
        const auto watch = loop->watch(pipe.read.get());
        int fired = 0;
        watch->wait_readable([&] { ++fired; });
        pipe.write.reset();
        run_until(*loop, [&] { return fired > 0; });
        watch->wait_readable([&] { ++fired; }); // and stays hung up
        run_until(*loop, [&] { return fired > 1; });
        CHECK(fired == 2);
    }
}

TEST_CASE("EventLoop: the watched descriptor is not owned")
{
    for (const auto &loop : loops()) {
        CAPTURE(std::string(loop->name()));
        Pipe pipe = make_pipe();
        loop->watch(pipe.read.get()).reset();
        CHECK(put_byte(pipe.write));
        CHECK(get_byte(pipe.read) == 'x');
        // It can be watched again.
        const auto watch = loop->watch(pipe.read.get());
        int fired = 0;
        watch->wait_readable([&] { ++fired; });
        put_byte(pipe.write);
        run_until(*loop, [&] { return fired > 0; });
        CHECK(fired == 1);
    }
}

TEST_CASE("EventLoop: a handler may wait again and set timers")
{
    for (const auto &loop : loops()) {
        CAPTURE(std::string(loop->name()));
        Pipe pipe = make_pipe();
        const auto watch = loop->watch(pipe.read.get());
        std::string seen;
        bool ended = false;
        const EventLoop::Handler take = [&] {
            seen += static_cast<char>(get_byte(pipe.read));
            if (seen.size() < 10) {
                watch->wait_readable(take);
                loop->after(0ms, [&] { put_byte(pipe.write); });
            } else {
                ended = true;
            }
        };
        watch->wait_readable(take);
        put_byte(pipe.write);
        run_until(*loop, [&] { return ended; });
        CHECK(seen == std::string(10, 'x'));
    }
}

TEST_CASE("EventLoop: after() calls once each, however many")
{
    for (const auto &loop : loops()) {
        CAPTURE(std::string(loop->name()));
        std::vector<int> called(50);
        int count = 0;
        for (std::size_t i = 0; i < called.size(); ++i) {
            loop->after(std::chrono::milliseconds(i % 3), [&, i] {
                ++called[i];
                ++count;
            });
        }
        run_until(*loop, [&] { return count == 50; });
        CHECK(std::all_of(called.begin(), called.end(), [](int n) { return n == 1; }));
    }
}

TEST_CASE("EventLoop: run_one() runs no more than one handler")
{
    for (const auto &loop : loops()) {
        CAPTURE(std::string(loop->name()));
        int count = 0;
        for (int i = 0; i < 5; ++i) {
            loop->after(0ms, [&] { ++count; });
        }
        int before = 0;
        run_until(*loop, [&] {
            CHECK(count <= before + 1);
            before = count;
            return count == 5;
        });
    }
}

TEST_CASE("EventLoop: run_ready() runs ready handlers and does not wait for more")
{
    for (const auto &loop : loops()) {
        CAPTURE(std::string(loop->name()));
        Pipe pipe = make_pipe();
        const auto watch = loop->watch(pipe.read.get());
        int fired = 0;
        watch->wait_readable([&] { ++fired; });
        while (loop->run_ready()) {
        }
        CHECK(fired == 0);
        put_byte(pipe.write);
        while (fired == 0) { // io_uring reports it a moment later
            (void)loop->run_ready();
        }
        CHECK(fired == 1);
        CHECK_FALSE(loop->run_ready());
        CHECK_FALSE(loop->stopped());
        watch->wait_readable([&] { ++fired; });
        loop->stop();
        CHECK(loop->stopped());
        CHECK_FALSE(loop->run_ready());
        CHECK(fired == 1);
    }
}

TEST_CASE("EventLoop: stop() ends run_one() in every thread, with and without work")
{
    for (const auto &loop : loops()) {
        CAPTURE(std::string(loop->name()));
        Pipe pipe = make_pipe();
        const auto watch = loop->watch(pipe.read.get());
        watch->wait_readable([] {});
        std::atomic<int> handled{0};
        std::atomic<int> ended{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&] {
                while (loop->run_one()) {
                }
                ++ended;
            });
        }
        // Handlers started here wake threads that wait there.
        for (int i = 0; i < 20; ++i) {
            loop->after(0ms, [&] { ++handled; });
        }
        while (handled < 20) {
            std::this_thread::yield();
        }
        CHECK(ended == 0); // idle, but not stopped
        loop->stop();
        for (std::thread &thread : threads) {
            thread.join();
        }
        CHECK(ended == 4);
        CHECK(handled == 20);
        CHECK_FALSE(loop->run_one());
    }
}

TEST_CASE("EventLoop: stop() from a handler, with more work waiting")
{
    for (const auto &loop : loops()) {
        CAPTURE(std::string(loop->name()));
        int late = 0;
        loop->after(0ms, [&] { loop->stop(); });
        loop->after(1h, [&] { ++late; });
        while (loop->run_one()) {
        }
        CHECK_FALSE(loop->run_one());
        CHECK(late == 0);
    }
}

TEST_CASE("EventLoop: many descriptors, several threads, each wait once")
{
    for (const auto &loop : loops()) {
        CAPTURE(std::string(loop->name()));
        constexpr std::size_t count = 20;
        std::vector<Pipe> pipes;
        std::vector<std::unique_ptr<EventLoop::Watch>> watches;
        std::vector<std::atomic<int>> fired(count);
        std::atomic<std::size_t> total{0};
        for (std::size_t i = 0; i < count; ++i) {
            pipes.push_back(make_pipe());
            watches.push_back(loop->watch(pipes[i].read.get()));
            watches[i]->wait_readable([&, i] {
                ++fired[i];
                ++total;
            });
        }
        std::vector<std::thread> threads;
        for (int i = 0; i < 3; ++i) {
            threads.emplace_back([&] {
                while (loop->run_one()) {
                }
            });
        }
        for (Pipe &pipe : pipes) {
            put_byte(pipe.write);
        }
        while (total < count) {
            std::this_thread::yield();
        }
        loop->stop();
        for (std::thread &thread : threads) {
            thread.join();
        }
        CHECK(std::all_of(fired.begin(), fired.end(), [](const auto &n) { return n == 1; }));
    }
}
