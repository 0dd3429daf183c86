// SPDX-License-Identifier: MIT
#include "arch/i386/i386.hpp"
#include "image/exits.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <cstring>
#include <list>
#include <optional>

using namespace clone2;
using namespace clone2::test;

namespace
{

constexpr std::uint64_t site = 0x08049000;
constexpr std::size_t room = 600; // about that of a 32-bit vdso

/// A page of this process with room for the code at its end.
struct Page {
    Page() { std::memset(pages.at(0), 0, Pages::page_size()); }
    [[nodiscard]] RemotePtr code() const
    {
        return RemotePtr{reinterpret_cast<std::uint64_t>(pages.at(0)) + Pages::page_size() - room};
    }
    [[nodiscard]] std::size_t exits() const
    {
        return (page_end(i386, code()).value() - first_exit(i386, code()).value()) /
               i386.exit_size();
    }
    [[nodiscard]] Result<std::optional<Exits::Choice>> choose(std::uint64_t for_site)
    {
        return all.choose(::getpid(), i386, code(), for_site);
    }
    Pages pages;
    Exits all;
};

void write(RemotePtr exit, std::uint64_t for_site)
{
    const auto bytes = i386.encode_exit(exit, for_site);
    std::memcpy(reinterpret_cast<void *>(exit.value()), bytes.data(), bytes.size());
}

} // namespace

TEST_CASE("Exits: calls from one place share an exit, however many there are at once")
{
    Page page;
    std::list<Result<std::optional<Exits::Choice>>> held;
    for (std::size_t i = 0; i < 3 * page.exits(); ++i) {
        held.push_back(page.choose(site));
        REQUIRE(held.back().has_value());
        REQUIRE(held.back()->has_value());
        CHECK((*held.back())->exit() == (*held.front())->exit());
    }
    // One of them writes it, and all others find it.
    write((*held.front())->exit(), site);
    held.pop_back();
    const auto after = page.choose(site);
    CHECK((*after)->exit() == (*held.front())->exit());
}

TEST_CASE("Exits: each place has its own; while all are being written, others wait")
{
    Page page;
    REQUIRE(page.exits() >= 2);
    std::list<Result<std::optional<Exits::Choice>>> held;
    for (std::size_t i = 0; i < page.exits(); ++i) {
        held.push_back(page.choose(site + i));
        REQUIRE(held.back()->has_value());
        if (i > 0) {
            CHECK((*held.back())->exit() != (*held.front())->exit());
        }
    }
    const auto none = page.choose(site - 1);
    REQUIRE(none.has_value());
    CHECK_FALSE(none->has_value());
    // The last did not write.
    held.pop_back();
    CHECK(page.choose(site - 1)->has_value());
}

TEST_CASE("Exits: when all are in use for other places, there is none")
{
    Page page;
    for (std::size_t i = 0; i < page.exits(); ++i) {
        const auto choice = page.choose(site + i);
        REQUIRE(choice->has_value());
        write((*choice)->exit(), site + i);
    }
    const auto none = page.choose(site - 1);
    REQUIRE_FALSE(none.has_value());
    CHECK(none.error().cause == Cause::no_exit);
    CHECK(page.choose(site)->has_value());
}

TEST_CASE("Exits: an exit that another process writes keeps nobody from others")
{
    // The two have the same addresses and exits of their own; reservations go by address.
    Page page;
    const auto held = page.choose(site);
    REQUIRE(held->has_value());
    const RemotePtr first = (*held)->exit();
    const RemotePtr second = first - i386.exit_size();

    // Here it is in use for another place, and nothing is written yet for this one.
    write(first, site + 1);
    const auto another = page.choose(site);
    REQUIRE(another->has_value());
    CHECK((*another)->exit() == second);

    // Here the exit exists, behind one that is reserved for the same place.
    write(second, site);
    std::memset(reinterpret_cast<void *>(first.value()), 0, i386.exit_size());
    const auto own = page.choose(site);
    REQUIRE(own->has_value());
    CHECK((*own)->exit() == second);
}
