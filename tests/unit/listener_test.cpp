// SPDX-License-Identifier: MIT
#include "listener/listener.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <poll.h>
#include <sys/wait.h>

#include <cerrno>
#include <linux/audit.h>
#include <memory>
#include <set>
#include <system_error>

using namespace clone2;
using namespace clone2::test;

namespace
{

constexpr int nr = 387;
using Pending = Listener::Pending;

/// A child with the filter, and its listener. `calls` runs in the child once the filter is in
/// force.
struct Target {
    explicit Target(const Child::Body &calls) : sockets(make_sockets())
    {
        child = std::make_unique<Child>(
            [&] { return install_and_send(sockets.theirs.get(), nr) ? calls() : 98; });
        ReceivedListener received = receive_listener(sockets.ours.get());
        REQUIRE(received.fd);
        listener = std::make_unique<Listener>(std::move(received.fd), received.wait_killable);
        CHECK(listener->wait_killable() == received.wait_killable);
    }

    [[nodiscard]] Notification next() const
    {
        auto received = listener->receive();
        REQUIRE(received.has_value());
        return *received;
    }
    void wait_until_readable() const
    {
        pollfd entry{listener->fd(), POLLIN, 0};
        REQUIRE(poll(&entry, 1, -1) == 1);
    }

    Sockets sockets;
    std::unique_ptr<Child> child;
    std::unique_ptr<Listener> listener;
};

} // namespace

TEST_CASE("Listener: a call arrives as made, and the answer is its result")
{
    const Target target([] {
        const long result = syscall(nr, 0x1111111111111111, -2L, 3L, 0xffffffffL, 5L, 6L);
        return result == 4711 ? 0 : 1;
    });
    const Notification call = target.next();
    CHECK(call.tid == target.child->pid());
    CHECK(call.arch == AUDIT_ARCH_X86_64);
    CHECK(call.nr == nr);
    CHECK(call.instruction_pointer != 0);
    const std::array<std::uint64_t, 6> wanted{
        0x1111111111111111, ~std::uint64_t{1}, 3, 0xffffffff, 5, 6};
    CHECK(call.args == wanted);
    CHECK(target.listener->still_valid(call.id));
    CHECK_FALSE(target.listener->still_valid(call.id + 1));
    CHECK(target.listener->pending() == Pending::none);
    CHECK(target.listener->answer(call.id, 4711).has_value());
    CHECK_FALSE(target.listener->still_valid(call.id));
    const auto again = target.listener->answer(call.id, 0);
    REQUIRE(again.has_error());
    // EINPROGRESS: the caller has not run since.
    CHECK((again.error().err == ENOENT || again.error().err == EINPROGRESS));
    const int status = target.child->wait();
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("Listener: results and errnos reach the program unchanged")
{
    struct Case {
        std::int64_t answer;
        std::int64_t result;
        int err;
    };
    for (const Case &one :
         {Case{0, 0, 0}, Case{1 << 22, 1 << 22, 0}, Case{0x123456789a, 0x123456789a, 0},
          Case{-EBUSY, -1, EBUSY}, Case{-1, -1, EPERM}, Case{-ENOSYS, -1, ENOSYS}}) {
        CAPTURE(one.answer);
        const Target each([&] {
            errno = 0;
            return syscall(nr) == one.result && errno == one.err ? 0 : 1;
        });
        CHECK(each.listener->answer(each.next().id, one.answer).has_value());
        CHECK(WEXITSTATUS(each.child->wait()) == 0);
    }
}

TEST_CASE("Listener: several calls at once, answered in another order")
{
    constexpr int callers = 4;
    const Target target([] {
        std::array<std::unique_ptr<Child>, callers> children;
        int number = 0;
        for (auto &child : children) {
            child = std::make_unique<Child>(
                [number] { return syscall(nr, number) == 100 + number ? 0 : 1; });
            ++number;
        }
        int failures = 0;
        for (const auto &child : children) {
            failures += child->wait() == 0 ? 0 : 1;
        }
        return failures;
    });
    std::vector<Notification> calls;
    std::set<std::uint64_t> ids;
    while (calls.size() < callers) {
        calls.push_back(target.next());
        ids.insert(calls.back().id);
    }
    CHECK(ids.size() == callers);
    for (auto call = calls.rbegin(); call != calls.rend(); ++call) {
        CHECK(target.listener->still_valid(call->id));
        CHECK(target.listener->answer(call->id, 100 + static_cast<std::int64_t>(call->args[0]))
                  .has_value());
    }
    CHECK(WEXITSTATUS(target.child->wait()) == 0);
}

TEST_CASE("Listener: a target that dies before its call is received")
{
    const Target target([] { return static_cast<int>(syscall(nr)); });
    target.wait_until_readable();
    CHECK(target.listener->pending() == Pending::notification);
    target.child->kill_and_reap();
    const auto received = target.listener->receive();
    REQUIRE(received.has_error());
    CHECK(received.error().target_gone());
    CHECK(target.listener->pending() == Pending::hung_up);
}

TEST_CASE("Listener: a target that dies before its call is answered")
{
    const Target target([] { return static_cast<int>(syscall(nr)); });
    const Notification call = target.next();
    CHECK(target.listener->still_valid(call.id));
    target.child->kill_and_reap();
    CHECK_FALSE(target.listener->still_valid(call.id));
    const auto answered = target.listener->answer(call.id, 0);
    REQUIRE(answered.has_error());
    CHECK(answered.error().target_gone());
    CHECK(target.listener->pending() == Pending::hung_up);
}

TEST_CASE("Listener: hung up only when the last target is gone")
{
    Pipe pipe = make_pipe();
    const Target target([&] {
        pipe.write.reset();
        const pid_t second = fork();
        if (second == 0) {
            _exit(get_byte(pipe.read)); // waits for the end of the test
        }
        return second > 0 ? 0 : 1;
    });
    CHECK(WEXITSTATUS(target.child->wait()) == 0);
    CHECK(target.listener->pending() == Pending::none);
    pipe.write.reset();
    pollfd entry{target.listener->fd(), POLLIN, 0};
    CHECK(poll(&entry, 1, -1) == 1);
    CHECK(target.listener->pending() == Pending::hung_up);
}

TEST_CASE("Listener: a descriptor that is not a listener gives errors, not calls")
{
    Pipe pipe = make_pipe();
    std::unique_ptr<Listener> listener;
    try {
        listener = std::make_unique<Listener>(std::move(pipe.read), true);
    } catch (const std::system_error &error) {
        CHECK(error.code().value() != 0);
        return;
    }
    CHECK(listener->receive().has_error());
    CHECK_FALSE(listener->still_valid(1));
    CHECK(listener->answer(1, 0).has_error());
}
