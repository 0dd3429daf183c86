// SPDX-License-Identifier: MIT
#include "image/code_place.hpp"
#include "image/hints.hpp"
#include "support.hpp"
#include "target/mappings.hpp"
#include "target/memory.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

using namespace clone2;
using namespace clone2::test;

namespace
{

constexpr Signature ours{1, 2};

} // namespace

TEST_CASE("ImageHints: the thread's own image, else the latest")
{
    ImageHints hints;
    CHECK_FALSE(hints.guess(1).has_value());
    CHECK(hints.with_code_at(RemotePtr{1}).empty());
    const Image one{RemotePtr{0x1000}, RemotePtr{0x2000}};
    const Image two{RemotePtr{0x3000}, RemotePtr{0x4000}};
    hints.remember(1, one);
    CHECK(hints.guess(1) == one);
    CHECK(hints.guess(2) == one);
    hints.remember(2, two);
    CHECK(hints.guess(1) == one);
    CHECK(hints.guess(2) == two);
    CHECK(hints.guess(3) == two);
    hints.remember(1, two); // it has executed another program
    CHECK(hints.guess(1) == two);
}

TEST_CASE("ImageHints: all images with the same code, each once")
{
    ImageHints hints;
    const Image one{RemotePtr{0x1000}, RemotePtr{0x2000}};
    const Image same_code{RemotePtr{0x1000}, RemotePtr{0x5000}};
    const Image other{RemotePtr{0x3000}, RemotePtr{0x2000}};
    for (pid_t tid = 1; tid < 10; ++tid) {
        hints.remember(tid, one);
        hints.remember(tid, same_code);
        hints.remember(tid, other);
    }
    const auto found = hints.with_code_at(RemotePtr{0x1000});
    CHECK(found.size() == 2);
    CHECK(std::count(found.begin(), found.end(), one) == 1);
    CHECK(std::count(found.begin(), found.end(), same_code) == 1);
    CHECK(hints.with_code_at(RemotePtr{0x3000}) == std::vector<Image>{other});
    CHECK(hints.with_code_at(RemotePtr{0x2000}).empty());
}

TEST_CASE("find_code_place: finds unused room in an executable page of this process")
{
    const auto place = find_code_place(*procfs(), getpid(), native_architecture(), ours);
    REQUIRE(place.has_value());
    CHECK_FALSE(place->boot_slots.empty());
    const auto home = mapping_at(*procfs(), getpid(), place->code);
    REQUIRE(home.has_value());
    CHECK(home->executable);
    CHECK_FALSE(home->shared);

    // Code, boot slots and spare slots must be disjoint and within the mapping.
    struct Range {
        std::uint64_t begin;
        std::uint64_t end;
    };
    std::vector<Range> ranges{
        {place->code.value(), place->code.value() + native_architecture().code_size()}};
    for (const RemotePtr slot : place->boot_slots) {
        ranges.push_back({slot.value(), slot.value() + native_architecture().boot_slot_size()});
    }
    for (const RemotePtr slot : place->spare_slots) {
        ranges.push_back({slot.value(), slot.value() + native_architecture().slot_size()});
    }
    std::sort(ranges.begin(), ranges.end(),
              [](const Range &a, const Range &b) { return a.begin < b.begin; });
    CHECK(ranges.front().begin == place->code.value());
    for (std::size_t i = 1; i < ranges.size(); ++i) {
        CHECK(ranges[i - 1].end <= ranges[i].begin);
    }
    CHECK(ranges.back().end <= home->end.value());
    const std::uint64_t page = Pages::page_size();
    CHECK(ranges.front().begin / page == (ranges.back().end - 1) / page);

    // All of it must be unused.
    std::vector<std::byte> room(ranges.back().end - ranges.front().begin);
    REQUIRE(read_exactly(getpid(), place->code, room).has_value());
    CHECK(std::all_of(room.begin(), room.end(), [](std::byte b) { return b == std::byte{0}; }));
}

TEST_CASE("find_code_place: code that another thread is writing is found at every step")
{
    const Child child([] {
        pause();
        return 0;
    });
    const auto place = find_code_place(*procfs(), child.pid(), native_architecture(), ours);
    REQUIRE(place.has_value());
    const std::vector<std::byte> code = native_architecture().make_code(ours);
    const Fd memory(
        open(("/proc/" + std::to_string(child.pid()) + "/mem").c_str(), O_WRONLY | O_CLOEXEC));
    REQUIRE(memory);
    // Writes it as the executor does, word by word: the code, the rest of its header, the first
    // word.
    constexpr std::size_t word = sizeof(std::uint64_t);
    std::vector<std::size_t> order;
    for (std::size_t at = sizeof(CodeHeader); at < code.size(); at += word) {
        order.push_back(at);
    }
    for (std::size_t at = word; at < sizeof(CodeHeader); at += word) {
        order.push_back(at);
    }
    order.push_back(0);
    for (const std::size_t at : order) {
        const std::size_t n = std::min(word, code.size() - at);
        REQUIRE(pwrite(memory.get(), code.data() + at, n,
                       static_cast<off_t>(place->code.value() + at)) == static_cast<ssize_t>(n));
        const auto now = find_code_place(*procfs(), child.pid(), native_architecture(), ours);
        CAPTURE(at);
        REQUIRE(now.has_value());
        CHECK(now->code == place->code);
    }
}

TEST_CASE("find_code_place: another supervisor's code is left where it is")
{
    const Child child([] {
        pause();
        return 0;
    });
    const auto place = find_code_place(*procfs(), child.pid(), native_architecture(), ours);
    REQUIRE(place.has_value());
    const auto write = [&](const Signature &signature) {
        const std::vector<std::byte> code = native_architecture().make_code(signature);
        const Fd memory(
            open(("/proc/" + std::to_string(child.pid()) + "/mem").c_str(), O_WRONLY | O_CLOEXEC));
        REQUIRE(pwrite(memory.get(), code.data(), code.size(),
                       static_cast<off_t>(place->code.value())) ==
                static_cast<ssize_t>(code.size()));
        return find_code_place(*procfs(), child.pid(), native_architecture(), ours);
    };
    const auto other = write({1, 3});
    CHECK((!other || other->code != place->code));
    // Code left unfinished by its supervisor's death belongs to no one.
    const auto unfinished = write({0, 0});
    REQUIRE(unfinished.has_value());
    CHECK(unfinished->code == place->code);
    const auto own = write(ours);
    REQUIRE(own.has_value());
    CHECK(own->code == place->code);
}

TEST_CASE("find_code_place: a process that is gone has none")
{
    CHECK_FALSE(find_code_place(*procfs(), dead_pid(), native_architecture(), ours).has_value());
}
