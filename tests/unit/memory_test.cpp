// SPDX-License-Identifier: MIT
#include "support.hpp"
#include "target/mappings.hpp"
#include "target/memory.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <vector>

using namespace clone2;
using namespace clone2::test;

namespace
{

constexpr std::byte filled{0x5a}; // initial contents of Pages

bool all_are(std::span<const std::byte> bytes, std::byte value)
{
    return std::all_of(bytes.begin(), bytes.end(), [&](std::byte b) { return b == value; });
}

} // namespace

TEST_CASE("read_memory: all pieces, in order")
{
    const std::array<std::uint64_t, 2> source{0x1122334455667788, 0x99aabbccddeeff00};
    std::uint64_t second = 0;
    std::uint64_t first = 0;
    const std::array pieces{RemoteRange{remote(&source[1]), bytes_of(second)},
                            RemoteRange{remote(&source[0]), bytes_of(first)}};
    const auto sleeper = make_sleeper();
    for (const pid_t pid : {getpid(), sleeper->pid()}) {
        first = second = 0;
        CHECK(read_memory(pid, pieces).value() == 16);
        CHECK(first == source[0]);
        CHECK(second == source[1]);
    }
    CHECK(read_memory(getpid(), {}).value() == 0);
}

TEST_CASE("read_memory: up to the first byte that can't be read")
{
    const Pages pages;
    pages.protect(1, PROT_NONE);
    const std::size_t page = Pages::page_size();
    std::vector<std::byte> to(page * 2);

    const std::array across{RemoteRange{remote(pages.at(page - 16)), {to.data(), 64}}};
    const std::size_t got = read_memory(getpid(), across).value();
    CHECK(got <= 16); // the kernel may count whole pieces only
    CHECK(all_are({to.data(), got}, filled));

    const std::array apart{RemoteRange{remote(pages.at(page - 16)), {to.data(), 16}},
                           RemoteRange{remote(pages.at(page)), {to.data() + 16, 16}},
                           RemoteRange{remote(pages.at(2 * page)), {to.data() + 32, 16}}};
    std::fill(to.begin(), to.end(), std::byte{0});
    CHECK(read_memory(getpid(), apart).value() == 16);
    CHECK(all_are({to.data(), 16}, filled));
    CHECK(all_are({to.data() + 16, 32}, std::byte{0}));

    const std::array nothing{RemoteRange{remote(pages.at(page)), {to.data(), 16}}};
    CHECK(read_memory(getpid(), nothing).value() == 0);
    const std::array null{RemoteRange{RemotePtr{}, {to.data(), 16}}};
    CHECK(read_memory(getpid(), null).value() == 0);
    const std::array beyond{
        RemoteRange{RemotePtr{std::numeric_limits<std::uint64_t>::max() - 7}, {to.data(), 16}}};
    CHECK(read_memory(getpid(), beyond).value() == 0);
}

TEST_CASE("read_memory: a dead process gives ESRCH")
{
    std::uint64_t word = 0;
    const std::array pieces{RemoteRange{remote(&word), bytes_of(word)}};
    const auto got = read_memory(dead_pid(), pieces);
    REQUIRE(got.has_error());
    CHECK(got.error().err == ESRCH);
    CHECK(got.error().target_gone());
}

TEST_CASE("read_exactly: whole or EFAULT")
{
    const Pages pages;
    pages.protect(1, PROT_NONE);
    const std::size_t page = Pages::page_size();
    std::array<std::byte, 64> to{};
    CHECK(read_exactly(getpid(), remote(pages.at(page - 64)), to).has_value());
    CHECK(all_are(to, filled));
    for (const std::size_t offset : {page - 63, page - 1, page, 2 * page - 1}) {
        CAPTURE(offset);
        const auto done = read_exactly(getpid(), remote(pages.at(offset)), to);
        REQUIRE(done.has_error());
        CHECK(done.error().err == EFAULT);
    }
    CHECK(read_exactly(getpid(), remote(pages.at(2 * page)), to).has_value());
    const auto gone = read_exactly(dead_pid(), remote(pages.at(0)), to);
    REQUIRE(gone.has_error());
    CHECK(gone.error().err == ESRCH);
    CHECK(read_exactly(getpid(), RemotePtr{}, {}).has_value()); // nothing asked for
}

TEST_CASE("read_write_only: what copy_from_user could read")
{
    const Pages pages;
    const std::size_t page = Pages::page_size();
    std::array<std::byte, 64> to{};
    SUBCASE("a page that can be written and not read")
    {
        pages.protect(1, PROT_WRITE);
        CHECK(read_write_only(*procfs(), getpid(), remote(pages.at(page + 32)), to).has_value());
        CHECK(all_are(to, filled));
        pages.protect(1, PROT_READ | PROT_WRITE);
    }
    SUBCASE("across two of them")
    {
        pages.protect(0, PROT_WRITE);
        pages.protect(1, PROT_WRITE);
        CHECK(read_write_only(*procfs(), getpid(), remote(pages.at(page - 32)), to).has_value());
        CHECK(all_are(to, filled));
    }
    SUBCASE("from a readable page into such a one, and out of it")
    {
        pages.protect(1, PROT_WRITE);
        CHECK(read_write_only(*procfs(), getpid(), remote(pages.at(page - 32)), to).has_value());
        CHECK(all_are(to, filled));
        to.fill(std::byte{0});
        CHECK(
            read_write_only(*procfs(), getpid(), remote(pages.at(2 * page - 32)), to).has_value());
        CHECK(all_are(to, filled));
    }
    SUBCASE("no access at all")
    {
        pages.protect(1, PROT_NONE);
        for (const std::size_t offset : {page, page - 32, 2 * page - 1}) {
            CAPTURE(offset);
            const auto done = read_write_only(*procfs(), getpid(), remote(pages.at(offset)), to);
            REQUIRE(done.has_error());
            CHECK(done.error().err == EFAULT);
        }
    }
    SUBCASE("nothing mapped")
    {
        for (const RemotePtr from : {RemotePtr{}, RemotePtr{1ULL << 47U}, RemotePtr{~0ULL - 7}}) {
            const auto done = read_write_only(*procfs(), getpid(), from, to);
            REQUIRE(done.has_error());
            CHECK(done.error().err == EFAULT);
        }
    }
    SUBCASE("the process is gone")
    {
        const auto done = read_write_only(*procfs(), dead_pid(), remote(pages.at(0)), to);
        CHECK(done.has_error());
    }
}

TEST_CASE("mapping_at: each page has its permissions")
{
    const Pages pages;
    const std::size_t page = Pages::page_size();
    pages.protect(0, PROT_NONE);
    pages.protect(1, PROT_READ);
    const auto find = [&](const std::byte *address) {
        const auto found = mapping_at(*procfs(), getpid(), remote(address));
        REQUIRE(found.has_value());
        CHECK(found->begin <= remote(address));
        CHECK(remote(address) < found->end);
        return *found;
    };
    CHECK_FALSE(find(pages.at(0)).readable);
    CHECK_FALSE(find(pages.at(0)).writable);
    CHECK(find(pages.at(page)).readable);
    CHECK_FALSE(find(pages.at(page)).writable);
    CHECK(find(pages.at(2 * page)).writable);
    CHECK_FALSE(find(pages.at(2 * page)).executable);
    const auto *const code = reinterpret_cast<const std::byte *>(&all_are);
    CHECK(find(code).executable);
    CHECK_FALSE(mapping_at(*procfs(), dead_pid(), remote(code)).has_value());
    CHECK_FALSE(mapping_at(*procfs(), getpid(), RemotePtr{0}).has_value());
    CHECK_FALSE(mapping_at(*procfs(), getpid(), RemotePtr{~0ULL}).has_value());
}

TEST_CASE("search_mappings: agrees with the kernel's own answer")
{
    const Pages pages;
    pages.protect(0, PROT_NONE);
    const std::size_t page = Pages::page_size();
    const Fd shared{memfd_create("a name with\nan end of line", MFD_CLOEXEC)};
    REQUIRE(ftruncate(shared.get(), static_cast<off_t>(page)) == 0);
    void *const mapped = mmap(nullptr, page, PROT_READ, MAP_SHARED, shared.get(), 0);
    REQUIRE(mapped != MAP_FAILED);
    const auto *const code = reinterpret_cast<const std::byte *>(&all_are);
    const auto search = [](RemotePtr address) {
        return search_mappings(Fd{open("/proc/self/maps", O_RDONLY | O_CLOEXEC)}, address);
    };
    for (const RemotePtr address : {remote(pages.at(0)), remote(pages.at(page)), remote(code),
                                    remote(static_cast<std::byte *>(mapped))}) {
        const auto found = search(address);
        const auto expected = mapping_at(*procfs(), getpid(), address);
        REQUIRE(found);
        REQUIRE(expected.has_value());
        CHECK(found->begin <= address);
        CHECK(address < found->end);
        CHECK(found->readable == expected->readable);
        CHECK(found->writable == expected->writable);
        CHECK(found->executable == expected->executable);
        CHECK(found->shared == expected->shared);
    }
    CHECK(search(remote(static_cast<std::byte *>(mapped)))->shared);
    munmap(mapped, page);
    CHECK_FALSE(search(remote(static_cast<std::byte *>(mapped))));
    CHECK_FALSE(search(RemotePtr{0}));
    CHECK_FALSE(search(RemotePtr{~0ULL}));
}
