// SPDX-License-Identifier: MIT
#include "support.hpp"

#include <clone2/supervise_asio.hpp>

#include <doctest/doctest.h>

#include <boost/asio/steady_timer.hpp>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <sched.h>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace clone2::test;
using namespace clone2::test::api;

static_assert(std::is_nothrow_move_constructible_v<clone2::Supervisor>);
static_assert(!std::is_copy_constructible_v<clone2::Supervisor>);

namespace
{

constexpr std::uint64_t unknown_flag = 1ULL << 40U;

void add(clone2::Supervisor &supervisor, Target &target, void *cookie = nullptr)
{
    std::error_code error;
    supervisor.add_listener(target.take_listener(), cookie, target.listener_flags(), error);
    REQUIRE_FALSE(error);
}

} // namespace

TEST_CASE("Supervisor: callbacks, errors, and moving it")
{
    CHECK_THROWS_AS(clone2::Supervisor({}, 1U << 20U), std::system_error);

    std::mutex mutex; // with run(), several threads call back
    std::vector<std::string> reasons;
    std::vector<std::string> messages;
    int ended = 0;
    clone2::SupervisorCallbacks callbacks;
    callbacks.event = [&](const clone2_event &event) {
        const std::lock_guard lock(mutex);
        reasons.emplace_back(event.reason != nullptr ? event.reason : "");
    };
    callbacks.policy = [](const clone2_request &request) -> std::optional<clone2::PolicyRefusal> {
        if ((request.flags & CLONE_FS) != 0) {
            return clone2::PolicyRefusal{EACCES, std::string(1000, 'x')};
        }
        if ((request.flags & CLONE_FILES) != 0) {
            return clone2::PolicyRefusal{};
        }
        return std::nullopt;
    };
    callbacks.ended = [&](void *cookie, clone2_ended why) {
        CHECK(cookie == &ended);
        CHECK(why == CLONE2_ENDED_TARGETS_GONE);
        ++ended;
    };
    const clone2::Supervisor *asked = nullptr;
    callbacks.log = [&](clone2_log_level, std::string_view message) {
        if (asked != nullptr) {
            CHECK(asked->listener_count() >= 0); // no lock is held
        }
        const std::lock_guard lock(mutex);
        messages.emplace_back(message);
    };
    clone2::Supervisor made(std::move(callbacks));
    Target target([] {
        return call_many(2) == 0 && call_clone2(SIGCHLD | CLONE_FS) == -EACCES &&
                       call_clone2(SIGCHLD | CLONE_FILES) == -EPERM
                   ? 0
                   : 1;
    });
    add(made, target, &ended);
    clone2::Supervisor supervisor(std::move(made));
    CHECK(supervisor.listener_count() == 1);
    asked = &supervisor;
    std::error_code error = std::make_error_code(std::errc::io_error);
    supervisor.run(0, error);
    CHECK_FALSE(error);
    CHECK(target.wait() == 0);
    CHECK(ended == 1);
    REQUIRE(reasons.size() == 4);
    CHECK(reasons[0].empty());
    CHECK(reasons[2] == std::string(CLONE2_REASON_SIZE - 1, 'x'));
    CHECK(reasons[3] == "refused by policy");
    REQUIRE_FALSE(messages.empty());
    CHECK(messages.back() == "a listener has ended");

    supervisor.add_listener(-1, nullptr, 0, error);
    CHECK(error == std::errc::bad_file_descriptor);
    supervisor.stop();
    CHECK(supervisor.dispatch(error) == 0);
    CHECK(error == std::errc::operation_canceled);
}

TEST_CASE("Supervisor: assignment frees the old supervisor, whose callbacks report it")
{
    Target target([] { return call_clone2(SIGCHLD) == -ENOSYS ? 0 : 1; });
    int freed = 0;
    clone2::SupervisorCallbacks callbacks;
    callbacks.ended = [&](void *, clone2_ended why) { freed += why == CLONE2_ENDED_FREED ? 1 : 0; };
    clone2::Supervisor supervisor(std::move(callbacks));
    add(supervisor, target);
    supervisor = clone2::Supervisor();
    CHECK(freed == 1);
    CHECK(supervisor.listener_count() == 0);
    CHECK(target.wait() == 0);
}

TEST_CASE("AsioDispatcher: in a program's own io_context")
{
    boost::asio::io_context context;
    int calls = 0;
    int ticks = 0;
    clone2::SupervisorCallbacks callbacks;
    callbacks.event = [&](const clone2_event &event) { calls += event.result > 0 ? 1 : 0; };
    clone2::Supervisor supervisor(std::move(callbacks));
    Pipe go = make_pipe();
    Target target([&] {
        go.write.reset();
        if (call_many(100) != 0) {
            return 1;
        }
        (void)get_byte(go.read);
        return call_many(100);
    });
    add(supervisor, target);
    clone2::AsioDispatcher dispatcher(context, supervisor);

    // The timer lets the target continue after some ticks, and ends with it.
    boost::asio::steady_timer timer(context);
    const std::function<void()> tick = [&] {
        timer.expires_after(std::chrono::milliseconds(2));
        timer.async_wait([&](const boost::system::error_code &) {
            if (++ticks >= 3 && calls == 100) {
                go.write.reset();
            }
            if (target.has_ended()) {
                dispatcher.stop();
            } else {
                tick();
            }
        });
    };
    tick();
    context.run(); // runs out of work
    CHECK(target.wait() == 0);
    CHECK(calls == 200);
    CHECK(ticks >= 3);
}

TEST_CASE("AsioDispatcher: ends when the supervisor is stopped, and by its own stop in a callback")
{
    boost::asio::io_context context;
    clone2::Supervisor stopped;
    std::error_code seen;
    const clone2::AsioDispatcher dispatcher(context, stopped,
                                            [&](std::error_code error) { seen = error; });
    std::thread other([&] { stopped.stop(); });
    context.run();
    other.join();
    CHECK(seen == std::errc::operation_canceled);

    context.restart();
    std::optional<clone2::AsioDispatcher> in_callback;
    clone2::SupervisorCallbacks callbacks;
    callbacks.event = [&](const clone2_event &) { in_callback->stop(); };
    {
        clone2::Supervisor supervisor(std::move(callbacks));
        Target target([] { return call_clone2(SIGCHLD | unknown_flag) == -EINVAL ? 0 : 1; });
        add(supervisor, target);
        in_callback.emplace(context, supervisor);
        context.run();
        CHECK(target.wait() == 0);
    }
}
