// SPDX-License-Identifier: MIT
#include "base/printable.hpp"
#include "image/slot_users.hpp"
#include "image/slots.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

using namespace clone2;
using namespace clone2::test;

namespace
{

constexpr RemotePtr area_a{0x10000};
constexpr RemotePtr area_b{0x7f0000000000};

} // namespace

TEST_CASE("SlotReservations: one after the other, until they are released")
{
    SlotReservations table;
    auto first = table.reserve_any(area_a, native_architecture(), 0);
    auto second = table.reserve_any(area_a, native_architecture(), 0);
    REQUIRE(first);
    REQUIRE(second);
    CHECK(first->index() == 0);
    CHECK(second->index() == 1);
    CHECK(first->slot() == area_a + native_architecture().slot_offset(0));
    CHECK(second->slot() == area_a + native_architecture().slot_offset(1));
    CHECK_FALSE(table.reserve(area_a, native_architecture(), 0));
    CHECK_FALSE(table.reserve(area_a, native_architecture(), 1));
    auto elsewhere = table.reserve_any(area_b, native_architecture(), 0);
    REQUIRE(elsewhere);
    CHECK(elsewhere->index() == 0);
    CHECK(elsewhere->slot() == area_b + native_architecture().slot_offset(0));
    first.reset();
    auto third = table.reserve_any(area_a, native_architecture(), 0);
    REQUIRE(third);
    CHECK(third->index() == 0);
    auto fourth = table.reserve(area_a, native_architecture(), 7);
    REQUIRE(fourth);
    CHECK(fourth->index() == 7);
    CHECK_FALSE(table.reserve(area_a, native_architecture(), 7));
}

TEST_CASE("SlotReservations: a moved lease is held once and released once")
{
    SlotReservations table;
    {
        auto first = table.reserve(area_a, native_architecture(), 3);
        REQUIRE(first);
        SlotReservations::Lease moved = std::move(*first);
        first.reset(); // the moved-from lease releases nothing
        CHECK_FALSE(table.reserve(area_a, native_architecture(), 3));
        auto other = table.reserve(area_a, native_architecture(), 4);
        REQUIRE(other);
        moved = std::move(*other);
        CHECK(moved.index() == 4);
        CHECK_FALSE(table.reserve(area_a, native_architecture(), 4));
    }
    CHECK(table.reserve(area_a, native_architecture(), 3));
    CHECK(table.reserve(area_a, native_architecture(), 4));
}

TEST_CASE("SlotReservations: one for each slot, then none")
{
    SlotReservations table;
    std::vector<SlotReservations::Lease> leases;
    std::set<std::uint32_t> seen;
    for (std::uint32_t i = 0; i < native_architecture().slot_count(); ++i) {
        auto lease = table.reserve_any(area_a, native_architecture(), 0);
        REQUIRE(lease);
        CHECK(lease->index() < native_architecture().slot_count());
        seen.insert(lease->index());
        leases.push_back(std::move(*lease));
    }
    CHECK(seen.size() == native_architecture().slot_count());
    CHECK_FALSE(table.reserve_any(area_a, native_architecture(), 0));
    CHECK(table.reserve_any(area_b, native_architecture(), 0));
    leases.erase(leases.begin() + 5);
    const auto again = table.reserve_any(area_a, native_architecture(), 0);
    REQUIRE(again);
    CHECK(again->index() == 5);
}

TEST_CASE("SlotReservations: eight threads never hold the same slot")
{
    SlotReservations table;
    std::array<std::array<std::atomic<int>, 32>, 2> holders{};
    std::atomic<int> doubly{0};
    std::atomic<int> taken{0};
    std::vector<std::thread> threads;
    for (unsigned worker = 0; worker < 8; ++worker) {
        threads.emplace_back([&, worker] {
            Random random(worker);
            for (int round = 0; round < 3000; ++round) {
                const std::uint64_t dice = random.next();
                const std::size_t which = dice & 1U;
                const RemotePtr area = which == 0 ? area_a : area_b;
                const auto lease = (dice & 2U) != 0
                                       ? table.reserve_any(area, native_architecture(), 0)
                                       : table.reserve(area, native_architecture(),
                                                       static_cast<std::uint32_t>(dice >> 8U & 3U));
                if (!lease) {
                    continue;
                }
                ++taken;
                auto &holder = holders.at(which).at(lease->index());
                if (++holder != 1) {
                    ++doubly;
                }
                if (round % 16 == 0) {
                    std::this_thread::yield();
                }
                --holder;
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    CHECK(doubly == 0);
    CHECK(taken > 0);
    const auto after = table.reserve_any(area_a, native_architecture(), 0);
    REQUIRE(after);
    CHECK(after->index() == 0); // all released
}

TEST_CASE("SlotReservations: starts where asked and wraps around")
{
    SlotReservations table;
    const std::uint32_t last = native_architecture().slot_count() - 1;
    const auto first = table.reserve_any(area_a, native_architecture(), last);
    const auto second = table.reserve_any(area_a, native_architecture(), last);
    const auto elsewhere = table.reserve_any(area_b, native_architecture(), 0);
    REQUIRE(first);
    REQUIRE(second);
    REQUIRE(elsewhere);
    CHECK(first->index() == last);
    CHECK(second->index() == 0);
    CHECK(elsewhere->index() == 0);
}

TEST_CASE("SlotFinder::first_for: threads created one after the other start in separate blocks")
{
    for (const Architecture *const arch : architectures()) {
        std::set<std::uint32_t> seen;
        for (pid_t tid = 1000; tid < 1032; ++tid) {
            const std::uint32_t first = SlotFinder::first_for(tid, *arch);
            CHECK(first < arch->slot_count());
            CHECK(first == SlotFinder::first_for(tid, *arch));
            seen.insert(first);
        }
        CHECK(seen.size() == 32);
        CHECK(*std::next(seen.begin()) - *seen.begin() >= 16);
    }
}

TEST_CASE(
    "SlotFinder::is_free: a busy slot belongs to its owner while the owner lives in this memory")
{
    const pid_t self = getpid();
    CHECK(SlotFinder::is_free(self, {0, 0, self}));
    CHECK(SlotFinder::is_free(self, {0, 0, 0}));
    CHECK(SlotFinder::is_free(self, {1, 0, dead_pid()}));
    if (!share_memory(self, self)) {
        left_out("slots of relatives", "kcmp(2) is refused");
        return;
    }
    const OtherThread thread;
    CHECK_FALSE(SlotFinder::is_free(self, {1, 0, thread.tid()}));
    CHECK_FALSE(SlotFinder::is_free(self, {1, 1, thread.tid()}));
    CHECK_FALSE(SlotFinder::is_free(thread.tid(), {1, 0, self}));
    // The parent's busy slot, copied by fork.
    const auto sleeper = make_sleeper();
    CHECK(SlotFinder::is_free(sleeper->pid(), {1, 0, self}));
}

TEST_CASE("printable: what may be in a line")
{
    CHECK(printable("plain text, 1~") == "plain text, 1~");
    CHECK(printable("").empty());
    CHECK(printable("a\nb") == "a\\x0ab");
    CHECK(printable("\x1b\x7f\xff") == "\\x1b\\x7f\\xff");
    CHECK(printable("\\") == "\\x5c");
    CHECK(printable(" =\\", " =\\") == "\\x20\\x3d\\x5c");
    CHECK(printable(std::string_view("\0", 1)) == "\\x00");
}
