// SPDX-License-Identifier: MIT
//
// The library's own loop: its descriptor, beyond what event_loop_test.cpp tests.
#include "api/pollable_loop.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <poll.h>

#include <chrono>
#include <memory>
#include <thread>

using namespace clone2;
using namespace clone2::api;
using namespace clone2::test;
using namespace std::chrono_literals;

namespace
{

bool readable(const PollableLoop &loop)
{
    pollfd polled{loop.fd(), POLLIN, 0};
    return poll(&polled, 1, 0) == 1;
}

void wait_until_readable(const PollableLoop &loop)
{
    pollfd polled{loop.fd(), POLLIN, 0};
    while (poll(&polled, 1, -1) != 1) {
    }
}

} // namespace

TEST_CASE("PollableLoop: its descriptor is readable when there is something to run")
{
    PollableLoop loop;
    CHECK_FALSE(readable(loop));
    CHECK_FALSE(loop.run_ready());
    Pipe pipe = make_pipe();
    const auto watch = loop.watch(pipe.read.get());
    put_byte(pipe.write);
    CHECK_FALSE(readable(loop)); // nothing waits for it
    int fired = 0;
    watch->wait_readable([&] { ++fired; });
    CHECK(readable(loop));
    CHECK(fired == 0);
    CHECK(loop.run_ready());
    CHECK(fired == 1);
    CHECK_FALSE(readable(loop));
    pipe.write.reset(); // neither does a hang-up
    CHECK_FALSE(readable(loop));
    CHECK_FALSE(loop.run_ready());
    watch->wait_readable([&] { ++fired; });
    CHECK(readable(loop));

    loop.after(1ms, [&] { fired += 10; });
    CHECK(loop.run_ready());
    CHECK(fired == 2);
    wait_until_readable(loop);
    CHECK(loop.run_ready());
    CHECK(fired == 12);
    CHECK_FALSE(readable(loop));
}

TEST_CASE("PollableLoop: a wait set by another thread makes it readable")
{
    PollableLoop loop;
    Pipe pipe = make_pipe();
    put_byte(pipe.write);
    const auto watch = loop.watch(pipe.read.get());
    std::thread other([&] { watch->wait_readable([] {}); });
    wait_until_readable(loop);
    other.join();
    CHECK(loop.run_ready());
}

TEST_CASE("PollableLoop: stopped for good, unless restarted")
{
    PollableLoop loop;
    loop.after(0ms, [] {});
    loop.stop();
    loop.stop();
    for (int i = 0; i < 3; ++i) {
        CHECK(loop.stopped());
        CHECK(readable(loop));
        CHECK_FALSE(loop.run_ready());
        CHECK_FALSE(loop.run_one());
    }
    loop.restart();
    CHECK_FALSE(loop.stopped());
    CHECK(loop.run_one());
    CHECK_FALSE(readable(loop));
}

TEST_CASE("PollableLoop: a pending handler may hold the last reference to the watch")
{
    auto loop = std::make_unique<PollableLoop>();
    const Pipe pipe = make_pipe();
    std::weak_ptr<EventLoop::Watch> seen;
    {
        const std::shared_ptr<EventLoop::Watch> holder = loop->watch(pipe.read.get());
        seen = holder;
        holder->wait_readable([holder] {});
    }
    CHECK_FALSE(seen.expired());
    loop.reset();
    CHECK(seen.expired());
}
