// SPDX-License-Identifier: MIT
#include "base/budget.hpp"
#include "failing_memory.hpp"

#include <doctest/doctest.h>

#include <new>
#include <vector>

using clone2::Budget;
using clone2::test::FailingMemory;

namespace
{

/// How much this user gets if it takes all it can.
std::uint64_t take_all(Budget &budget, uid_t user)
{
    while (budget.fits(user, 1)) {
        budget.add(user, 1);
    }
    return budget.of(user);
}

} // namespace

TEST_CASE("Budget: one user gets half, and something always stays free for the next")
{
    Budget budget(96);
    CHECK(budget.allowance(1) == 48);
    CHECK(take_all(budget, 1) == 48);
    CHECK(budget.allowance(1) == 48);
    CHECK(budget.allowance(2) == 24);
    CHECK(take_all(budget, 2) == 24);
    CHECK(take_all(budget, 3) == 12);
    CHECK_FALSE(budget.fits(1, 1));
    CHECK(budget.fits(1, 0) == false); // it holds more than it could get now
    CHECK(budget.fits(4, 6));
    CHECK_FALSE(budget.fits(4, 7));
}

TEST_CASE("Budget: users that take turns get equal shares, and as much stays free")
{
    for (const std::uint64_t users : {1U, 2U, 3U, 7U}) {
        CAPTURE(users);
        Budget budget(1000);
        for (bool more = true; more;) {
            more = false;
            for (uid_t user = 0; user < users; ++user) {
                if (budget.fits(user, 1)) {
                    budget.add(user, 1);
                    more = true;
                }
            }
        }
        const std::uint64_t share = 1000 / (users + 1);
        for (uid_t user = 0; user < users; ++user) {
            CHECK(budget.of(user) >= share - 1);
            CHECK(budget.of(user) <= share + 1);
        }
    }
}

TEST_CASE("Budget: returned amounts are available again; amounts beyond the share count")
{
    Budget budget(8);
    CHECK(take_all(budget, 1) == 4);
    budget.remove(1, 4);
    CHECK(budget.of(1) == 0);
    CHECK(take_all(budget, 2) == 4);
    budget.add(1, 10); // it already existed
    CHECK(budget.allowance(2) == 0);
    CHECK_FALSE(budget.fits(2, 0));
    CHECK_FALSE(budget.fits(3, 1));
    budget.remove(1, 10);
    budget.add(1, 0);
    budget.remove(1, 0);
    CHECK(budget.of(1) == 0);
    CHECK(budget.fits(2, 0));
    CHECK(budget.total() == 8);
}

TEST_CASE("Budget: nothing is added without memory")
{
    Budget budget(10);
    bool failed = false;
    try {
        const FailingMemory failing(FailingMemory::Kind::all, 0);
        budget.add(1, 2);
    } catch (const std::bad_alloc &) {
        failed = true;
    }
    CHECK(failed);
    CHECK(budget.used() == 0);
    CHECK(budget.of(1) == 0);
}
