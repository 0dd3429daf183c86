// SPDX-License-Identifier: MIT
#include "pids/set_tid.hpp"
#include "support.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

using namespace clone2;
using namespace clone2::test;

namespace
{

constexpr std::uint64_t sigchld = 17;
constexpr std::uint64_t user_end = 1ULL << 46U;

struct Strategy {
    NamespaceInspector inspector{procfs()};
    SetTid pids{procfs(), inspector};
};

/// Whether this process may choose pids; else most of this can't be seen.
bool may_choose(const Strategy &strategy)
{
    const auto self = strategy.inspector.inspect(getpid());
    if (self && self->facts(1).privileged) {
        return true;
    }
    left_out("what becomes of a call with pids", "the test is unprivileged");
    return false;
}

/// clone3 with a pid that was asked for, and, in a namespace further out, one that we have picked.
CloneCall call_with(pid_t asked)
{
    CloneCall call;
    call.set_tid[0] = asked;
    call.set_tid[1] = 300;
    call.set_tid_size = 2;
    call.to_pick = 2;
    return call;
}

} // namespace

TEST_CASE("SetTid: looks at the target only where the plan depends on it")
{
    Strategy strategy;
    Request request;
    request.flags = sigchld;
    const auto plain = strategy.pids.prepare(getpid(), request, user_end);
    REQUIRE(plain.has_value());
    CHECK_FALSE(plain->target.has_value());
    CHECK_FALSE(plain->reports_success);
    REQUIRE(std::holds_alternative<CloneCall>(plain->plan));
    CHECK(std::get<CloneCall>(plain->plan).plain);

    request.nr_pids = 1; // {0}
    const auto looked = strategy.pids.prepare(getpid(), request, user_end);
    REQUIRE(looked.has_value());
    REQUIRE(looked->target.has_value());
    const bool privileged = looked->target->facts(1).privileged;
    CHECK(std::holds_alternative<CloneCall>(looked->plan) == privileged);

    const auto gone = strategy.pids.prepare(1 << 30, request, user_end);
    REQUIRE_FALSE(gone.has_value());
    CHECK(gone.error().target_gone());
}

TEST_CASE("SetTid: what the call became")
{
    Strategy strategy;
    if (!may_choose(strategy)) {
        return;
    }
    const auto judge = [&](CloneCall &call, std::int64_t result, std::uint32_t attempts = 0,
                           bool changed = false) {
        return strategy.pids.judge(getpid(), {call, 1, attempts, changed, result});
    };
    CloneCall call = call_with(1 << 21); // in use by nobody
    SUBCASE("a success is one")
    {
        const auto verdict = judge(call, 4711);
        CHECK(verdict.result == 4711);
        CHECK(verdict.why.empty());
        CHECK_FALSE(verdict.again);
    }
    SUBCASE("any other errno is the program's")
    {
        const auto verdict = judge(call, -EAGAIN);
        CHECK(verdict.result == -EAGAIN);
        CHECK_FALSE(verdict.why.empty());
        CHECK_FALSE(verdict.again);
    }
    SUBCASE("a pick that is in use is replaced")
    {
        const pid_t before = call.set_tid[1];
        const auto verdict = judge(call, -EEXIST);
        CHECK(verdict.again);
        CHECK(verdict.result == -EBUSY); // where it can't be made again
        CHECK(call.set_tid[0] == 1 << 21);
        CHECK(call.set_tid[1] != before);
    }
    SUBCASE("but not for ever")
    {
        CHECK(judge(call, -EEXIST, 31).again);
        const auto verdict = judge(call, -EEXIST, 32);
        CHECK_FALSE(verdict.again);
        CHECK(verdict.result == -EBUSY);
        CHECK(verdict.why == "no free pid found");
    }
    SUBCASE("nor where the target has changed the call")
    {
        const auto verdict = judge(call, -EEXIST, 0, true);
        CHECK_FALSE(verdict.again);
        CHECK(verdict.result == -EBUSY);
    }
    SUBCASE("a pick that may be too high for its namespace is wrapped")
    {
        call.set_tid[1] = 5000;
        const auto verdict = judge(call, -EINVAL);
        CHECK(verdict.again);
        CHECK(verdict.result == -EINVAL);
        CHECK(call.set_tid[0] == 1 << 21);
        CHECK(call.set_tid[1] == 300);
        // It was not.
        CHECK_FALSE(judge(call, -EINVAL, 1).again);
        CHECK_FALSE(judge(call, -EINVAL, 32).again);
    }
    SUBCASE("but not where the target has changed the call, or has too many pids")
    {
        call.set_tid[1] = 5000;
        CHECK_FALSE(judge(call, -EINVAL, 0, true).again);
        CHECK_FALSE(strategy.pids.judge(getpid(), {call, max_pids, 0, false, -EINVAL}).again);
        CHECK(call.set_tid[1] == 5000);
    }
    SUBCASE("the highest pid that was asked for is not one of ours")
    {
        call.set_tid[1] = 1 << 22;
        CHECK(judge(call, -EINVAL, 32).why.find("asked for is 2097152") != std::string::npos);
    }
    SUBCASE("the program's own pid that is in use is named")
    {
        call = call_with(getpid());
        const auto verdict = judge(call, -EEXIST);
        CHECK_FALSE(verdict.again);
        CHECK(verdict.why == "pid " + std::to_string(getpid()) + " is in use");
        const auto explained = strategy.pids.judge(getpid(), {call, 1, 0, false, -EEXIST, true});
        CHECK(explained.why.find(" is in use, now by process " + std::to_string(getpid()) +
                                 " \"") != std::string::npos);
    }
    SUBCASE("without a pick of ours it can only be the program's")
    {
        call.to_pick = 0;
        const auto verdict = judge(call, -EEXIST);
        CHECK_FALSE(verdict.again);
        CHECK(verdict.result == -EBUSY);
    }
}
