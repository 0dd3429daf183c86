// SPDX-License-Identifier: MIT
#include "agent/child_count.hpp"
#include "fork_as.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>

#include <cerrno>
#include <csignal>

using namespace clone2;
using namespace clone2::test;
using clone2::agent::ChildCount;

TEST_CASE("ChildCount: a call counts until it is known what became of it")
{
    ChildCount count(procfs());
    const auto one = make_sleeper();
    const auto other = make_sleeper();
    REQUIRE(count.admit(one->pid(), 1, 1));
    CHECK_FALSE(count.admit(other->pid(), 2, 1));
    SUBCASE("it was not made")
    {
        count.not_made(one->pid(), 1);
        CHECK(count.admit(other->pid(), 2, 1));
    }
    SUBCASE("an earlier one of the same thread was not made")
    {
        REQUIRE(count.admit(one->pid(), 3, 1));
        count.not_made(one->pid(), 1);
        CHECK_FALSE(count.admit(other->pid(), 2, 1));
    }
    SUBCASE("it has failed")
    {
        count.finished(one->pid(), -EAGAIN, 0);
        CHECK(count.admit(other->pid(), 2, 1));
    }
    SUBCASE("its caller was killed")
    {
        one->kill_and_reap();
        CHECK(count.admit(other->pid(), 2, 1));
    }
    SUBCASE("its caller was killed, and another process has its pid")
    {
        const pid_t pid = one->pid();
        one->kill_and_reap();
        const auto next = fork_as(pid, [] {});
        if (!next) {
            return left_out("a tid that is used again", "choosing a pid is not permitted");
        }
        CHECK(count.admit(other->pid(), 2, 1));
        CHECK(::kill(pid, SIGKILL) == 0);
        CHECK(::waitpid(pid, nullptr, 0) == pid);
    }
}
