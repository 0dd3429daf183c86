// SPDX-License-Identifier: MIT
#include "abi/abi.hpp"
#include "abi/call_table.hpp"
#include "arch/i386/i386.hpp"
#include "target/memory.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <linux/audit.h>
#include <string_view>
#include <vector>

using namespace clone2;

namespace
{

/// eclone's struct as its library lays it out: six times 64 bits, the last in two halves.
struct Eclone {
    std::uint64_t flags_high = 0;
    std::uint64_t stack = 0x1122334455667788;
    std::uint64_t stack_size = 0;
    std::uint64_t parent_tid = 0x100000001;
    std::uint64_t child_tid = 0x200000002;
    std::uint32_t nr_pids = 3;
    std::uint32_t reserved = 0;
};

Request decode(const Eclone &raw, std::uint64_t size = 48,
               const Architecture &arch = native_architecture())
{
    const Arguments args{0xffffffff00000011, 0x1000, size, 0x2000, 0x3000, 0};
    const auto structure = eclone_abi.structure(args);
    return eclone_abi.decode(args, structure ? const_bytes_of(raw) : std::span<const std::byte>(),
                             arch);
}

std::string_view malformed(const Request &request)
{
    return request.malformed != nullptr ? request.malformed : "";
}

} // namespace

TEST_CASE("eclone_abi: each field in its place")
{
    const Arguments args{0, 0x1000, 48, 0x2000, 0, 0};
    CHECK(eclone_abi.structure_size == 48);
    CHECK(eclone_abi.structure(args) == RemotePtr{0x1000});
    CHECK(eclone_abi.pids(args) == RemotePtr{0x2000});
    const Request request = decode(Eclone{});
    CHECK(request.malformed == nullptr);
    CHECK(request.flags == 0x11); // flags_low has 32 bits
    CHECK(request.child_stack == 0x1122334455667788);
    CHECK(request.stack_size == 0);
    CHECK(request.parent_tid == 0x100000001);
    CHECK(request.pidfd == 0x100000001);
    CHECK(request.child_tid == 0x200000002);
    CHECK(request.tls == 0x3000);
    CHECK(request.nr_pids == 3);
    CHECK(request.pids_address == 0x2000);
}

TEST_CASE("eclone_abi: of an address counts what a register of the program has")
{
    const Request request = decode(Eclone{}, 48, i386);
    CHECK(request.child_stack == 0x55667788);
    CHECK(request.parent_tid == 1);
    CHECK(request.pidfd == 1);
    CHECK(request.child_tid == 2);
}

TEST_CASE("eclone_abi: what it refuses by itself")
{
    for (const std::uint64_t size : std::vector<std::uint64_t>{0, 40, 47, 49, 0xffffffff}) {
        CAPTURE(size);
        CHECK_FALSE(eclone_abi.structure({0, 0x1000, size}).has_value());
        CHECK(malformed(decode({}, size)).find("args_size") != std::string_view::npos);
    }
    CHECK(eclone_abi.structure({0, 0x1000, 0xffffffff00000030}).has_value()); // an int
    Eclone raw;
    raw.stack_size = 4096;
    CHECK(malformed(decode(raw)).find("child_stack_size") != std::string_view::npos);
    raw.flags_high = 1;
    CHECK(malformed(decode(raw)).find("clone_flags_high") != std::string_view::npos);
    raw.reserved = 1;
    CHECK(malformed(decode(raw)).find("reserved0") != std::string_view::npos);
}

TEST_CASE("clone_with_pids_abi: the set, and none")
{
    const std::array<std::uint32_t, 2> set{2, 0x8001000};
    const Arguments args{0xffffffff80000011, 0x5000, 0x6000, 0x7000, 0x8000, 0x9000};
    CHECK(clone_with_pids_abi.structure(args) == RemotePtr{0x9000});
    CHECK(clone_with_pids_abi.structure_size == sizeof set);
    CHECK_FALSE(clone_with_pids_abi.pids(args).has_value());
    const Request request = clone_with_pids_abi.decode(args, const_bytes_of(set), i386);
    CHECK(request.malformed == nullptr);
    CHECK(request.flags == 0x80000011);
    CHECK(request.child_stack == 0x5000);
    CHECK(request.parent_tid == 0x6000);
    CHECK(request.pidfd == 0x6000);
    CHECK(request.tls == 0x7000);
    CHECK(request.child_tid == 0x8000);
    CHECK(request.nr_pids == 2);
    CHECK(request.pids_address == 0x8001000);

    const Arguments no_set{0x11, 0, 0, 0, 0, 0};
    CHECK_FALSE(clone_with_pids_abi.structure(no_set).has_value());
    CHECK(clone_with_pids_abi.decode(no_set, {}, i386).nr_pids == 0);
    const std::array<std::int32_t, 2> negative{-1, 0};
    CHECK(malformed(clone_with_pids_abi.decode(args, const_bytes_of(negative), i386)) ==
          "num_pids is negative");
}

TEST_CASE("the ABIs by their names")
{
    const auto table = CallTable::parse("i386:400=clone_with_pids,i386:401,388=eclone");
    REQUIRE(table);
    CHECK(table->find(AUDIT_ARCH_I386, 400)->abi == &clone_with_pids_abi);
    CHECK(table->find(AUDIT_ARCH_I386, 401)->abi == &clone2_abi);
    CHECK(table->find(AUDIT_ARCH_X86_64, 388)->abi == &eclone_abi);
    CHECK_FALSE(CallTable::parse("388=eclon"));
}
