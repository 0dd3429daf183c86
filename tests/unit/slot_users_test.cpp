// SPDX-License-Identifier: MIT
#include "held_comparison.hpp"
#include "image/slot_users.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <span>
#include <thread>
#include <vector>

using namespace clone2;
using namespace clone2::test;

namespace
{

constexpr std::array slots{RemotePtr{0x1000}, RemotePtr{0x2000}};

constexpr std::uint64_t page_size = 4096;

bool kcmp_works()
{
    const auto same = share_memory(getpid(), getpid());
    if (!same) {
        left_out("threads of one address space", same.error().to_string());
    }
    return same.has_value();
}

} // namespace

TEST_CASE("share_memory: threads do, processes don't, a dead one gives ESRCH")
{
    if (!kcmp_works()) {
        return;
    }
    const OtherThread thread;
    const auto sleeper = make_sleeper();
    CHECK(share_memory(getpid(), thread.tid()).value());
    CHECK_FALSE(share_memory(getpid(), sleeper->pid()).value());
    const auto gone = share_memory(getpid(), dead_pid());
    REQUIRE(gone.has_error());
    CHECK(gone.error().err == ESRCH);
    CHECK(gone.error().target_gone());
}

TEST_CASE("SlotUsers: different processes may use the same slot")
{
    if (!kcmp_works()) {
        return;
    }
    SlotUsers users;
    const auto one = make_sleeper();
    const auto two = make_sleeper();
    const auto three = make_sleeper();
    CHECK(users.begin(one->pid(), slots, page_size).has_value());
    CHECK(users.begin(two->pid(), slots, page_size).has_value());
    CHECK(users.begin(three->pid(), slots, page_size).has_value());
}

TEST_CASE("SlotUsers: threads of one address space never get each other's slot")
{
    if (!kcmp_works()) {
        return;
    }
    SlotUsers users;
    const OtherThread one;
    const OtherThread two;
    OtherThread three;
    const auto first = users.begin(one.tid(), slots, page_size);
    const auto second = users.begin(two.tid(), slots, page_size);
    REQUIRE(first);
    REQUIRE(second);
    CHECK(*first != *second);
    CHECK((*first == slots[0] || *first == slots[1]));
    CHECK((*second == slots[0] || *second == slots[1]));
    CHECK_FALSE(users.begin(three.tid(), slots, page_size));
    users.end(one.tid(), *second); // not its slot: changes nothing
    CHECK_FALSE(users.begin(three.tid(), slots, page_size));
    users.end(two.tid(), *second);
    CHECK(users.begin(three.tid(), slots, page_size) == second);
    // It ended without a report: its slot is free again.
    CHECK_FALSE(users.begin(two.tid(), slots, page_size));
    three.end();
    CHECK(users.begin(two.tid(), slots, page_size) == second);
}

TEST_CASE("SlotUsers: a thread that takes long to be compared keeps no other waiting")
{
    constexpr pid_t first = 1;
    constexpr pid_t slow = 2;
    constexpr pid_t other = 3;
    HeldComparison comparison(slow);
    SlotUsers users(comparison.function());
    CHECK(users.begin(first, slots, page_size) == slots[0]);
    std::optional<RemotePtr> its;
    std::thread late([&] { its = users.begin(slow, slots, page_size); });
    comparison.wait_until_held();
    CHECK(users.begin(other, slots, page_size) == slots[0]);
    users.end(other, slots[0]);
    comparison.release();
    late.join();
    CHECK(its == slots[0]);
}

TEST_CASE("SlotUsers: a thread may use several at once, and reuses its own if none is free")
{
    SlotUsers users;
    const auto sleeper = make_sleeper();
    const pid_t tid = sleeper->pid();
    const auto first = users.begin(tid, slots, page_size);
    const auto second = users.begin(tid, slots, page_size);
    REQUIRE(first);
    REQUIRE(second);
    CHECK(*first != *second);
    const auto third = users.begin(tid, slots, page_size); // both are its own
    REQUIRE(third);
    CHECK((*third == *first || *third == *second));
    users.end(tid, *first);
    users.end(tid, *second);
    users.end(tid, *second);
    CHECK(users.begin(tid, slots, page_size).has_value());
    CHECK_FALSE(users.begin(tid, {}, page_size).has_value());
}

TEST_CASE("SlotUsers: slots that a thread used before an exec are free")
{
    if (!kcmp_works()) {
        return;
    }
    SlotUsers users;
    const OtherThread one;
    const OtherThread two;
    CHECK(users.begin(one.tid(), slots, page_size).has_value());
    CHECK(users.begin(one.tid(), slots, page_size).has_value());
    CHECK_FALSE(users.begin(two.tid(), slots, page_size));
    constexpr std::array elsewhere{RemotePtr{0x5000}};
    CHECK(users.begin(one.tid(), elsewhere, page_size).has_value());
    CHECK(users.begin(two.tid(), slots, page_size).has_value());
    CHECK(users.begin(two.tid(), slots, page_size).has_value());
    // On the same page they belong to the same program: boot slots and spare slots.
    constexpr std::array behind{RemotePtr{0x2100}};
    CHECK(users.begin(two.tid(), behind, page_size).has_value());
    CHECK_FALSE(users.begin(one.tid(), std::span(slots).last(1), page_size));
}

TEST_CASE("SlotUsers: a thread without a free slot does not take another thread's")
{
    if (!kcmp_works()) {
        return;
    }
    SlotUsers users;
    const OtherThread one;
    const OtherThread two;
    const auto first = users.begin(one.tid(), slots, page_size);
    const auto second = users.begin(two.tid(), slots, page_size);
    REQUIRE(first);
    REQUIRE(second);
    CHECK(users.begin(one.tid(), slots, page_size) == first);
    CHECK(users.begin(two.tid(), slots, page_size) == second);
}

TEST_CASE("unowned_slots: slots that are free by their contents, the thread's own last")
{
    if (!kcmp_works()) {
        return;
    }
    const OtherThread thread;
    const auto sleeper = make_sleeper();
    const pid_t self = getpid();
    constexpr std::uint64_t offset = 8;
    struct Slot {
        std::uint64_t rest;
        std::int32_t owner;
    };
    static_assert(offsetof(Slot, owner) == offset);
    const std::array<Slot, 5> here{
        {{0, self}, {0, 0}, {0, thread.tid()}, {0, dead_pid()}, {0, sleeper->pid()}}};
    std::vector<RemotePtr> all;
    for (const Slot &slot : here) {
        all.push_back(remote(&slot));
    }
    all.push_back(RemotePtr{16}); // unreadable
    CHECK(unowned_slots(self, all, offset) ==
          std::vector<RemotePtr>{all[1], all[3], all[4], all[0]});
    CHECK(unowned_slots(thread.tid(), all, offset) ==
          std::vector<RemotePtr>{all[1], all[3], all[4], all[2]});
}
