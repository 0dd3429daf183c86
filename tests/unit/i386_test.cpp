// SPDX-License-Identifier: MIT
#include "arch/i386/i386.hpp"
#include "image/exits.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <linux/audit.h>
#include <linux/sched.h>
#include <vector>

using namespace clone2;
using namespace clone2::test;

namespace
{

constexpr RemotePtr slot_address{0xf7c00140};
constexpr RemotePtr exit_address{0xf7feefe8};

template <typename T>
T at(const std::vector<std::byte> &bytes, std::size_t offset)
{
    T value{};
    REQUIRE(offset + sizeof value <= bytes.size());
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

SlotCall random_call(Random &random)
{
    const auto low = [&] { return random.next() & 0xffffffff; };
    SlotCall call;
    call.state.owner = static_cast<std::int32_t>(random.next());
    call.index = static_cast<std::uint32_t>(random.next() % i386.slot_count());
    call.report_success = random.next() % 2 == 0;
    call.return_address = low();
    call.nr = low();
    call.saved_args = {low(), low(), low(), low(), low(), low()};
    call.exit = exit_address;
    call.started_ns = static_cast<std::int64_t>(random.next());
    call.attempts = static_cast<std::uint32_t>(random.next() % 1000);
    call.request_flags = random.next();
    call.nr_pids = static_cast<std::uint32_t>(random.next());
    call.call.flags = random.next();
    call.call.child_sp = low();
    call.call.tls = low();
    call.call.set_tid_size = random.next() % PLAN_MAX_SET_TID;
    call.call.plain = random.next() % 2 == 0;
    return call;
}

} // namespace

TEST_CASE("i386: found by its AUDIT_ARCH value")
{
    CHECK(find_architecture(AUDIT_ARCH_I386) == &i386);
    CHECK(&i386 != &native_architecture());
    CHECK(i386.tls_argument() == 3); // clone(2) on i386: flags, sp, parent_tid, tls, child_tid
}

TEST_CASE("i386: what is encoded is decoded")
{
    Random random(386);
    for (int round = 0; round < 200; ++round) {
        const SlotCall call = random_call(random);
        const auto bytes = i386.encode_slot(call, slot_address);
        CHECK(bytes.size() <= i386.slot_size());
        const SlotCall found = i386.decode_slot(bytes);
        CHECK(found.state.owner == call.state.owner);
        CHECK(found.index == call.index);
        CHECK(found.report_success == call.report_success);
        CHECK(found.return_address == call.return_address);
        CHECK(found.nr == call.nr);
        CHECK(found.saved_args == call.saved_args);
        CHECK(found.exit == call.exit);
        CHECK(found.started_ns == call.started_ns);
        CHECK(found.attempts == call.attempts);
        CHECK(found.request_flags == call.request_flags);
        CHECK(found.nr_pids == call.nr_pids);
        CHECK(found.call.flags == call.call.flags);
        CHECK(found.call.child_sp == call.call.child_sp);
        CHECK(found.call.tls == call.call.tls);
        CHECK(found.call.set_tid_size == call.call.set_tid_size);
        CHECK(found.call.plain == call.call.plain);

        const BootCall boot{call.saved_args, call.return_address, call.nr, 4711, exit_address};
        const BootCall booted = i386.decode_boot_slot(i386.encode_boot_slot(boot));
        CHECK(booted.args == boot.args);
        CHECK(booted.return_address == boot.return_address);
        CHECK(booted.nr == boot.nr);
        CHECK(booted.owner == boot.owner);
        CHECK(booted.exit == boot.exit);
    }
}

TEST_CASE("i386: a slot is free when parent and child have exchanged their ebp for its address")
{
    const std::vector<std::byte> never_used(i386.state_size());
    CHECK(i386.decode_state(never_used).free());
    SlotCall call;
    call.saved_args[5] = 0; // the program's ebp may be 0, too
    const auto state = [&](bool parent_left, bool child_left) {
        auto bytes = i386.encode_slot(call, slot_address);
        const auto self = static_cast<std::uint32_t>(slot_address.value());
        if (parent_left) {
            std::memcpy(bytes.data() + 4, &self, sizeof self);
        }
        if (child_left) {
            std::memcpy(bytes.data() + 8, &self, sizeof self);
        }
        return i386.decode_state(bytes);
    };
    CHECK(state(false, false).parent_busy != 0);
    CHECK(state(false, false).child_busy == 0); // it has a copy of its own
    CHECK(state(true, false).free());
    call.call.flags = CLONE_VM;
    CHECK(state(false, false).child_busy != 0);
    CHECK(state(true, false).parent_busy == 0);
    CHECK_FALSE(state(true, false).free());
    CHECK_FALSE(state(false, true).free());
    CHECK(state(true, true).free());
    // What frees a slot that nobody comes back to.
    auto bytes = i386.encode_slot(call, slot_address);
    std::fill_n(bytes.begin(), 8, std::byte{0});
    CHECK(i386.decode_state(bytes).free());
}

TEST_CASE("i386: exits restore ebp and jump to the place of the call")
{
    for (const std::uint64_t site : {0x08049000ULL, 0xf7feb559ULL}) {
        const auto exit = i386.encode_exit(exit_address, site);
        REQUIRE(exit.size() == i386.exit_size());
        const std::array<std::array<std::uint8_t, 4>, 3> wanted{{
            {0x87, 0x6d, 4, 0xe9}, // xchg ebp, [ebp + 4]; jmp
            {0x87, 0x6d, 8, 0xe9},
            {0x8b, 0x6d, 4, 0xe9}, // mov ebp, [ebp + 4]; jmp
        }};
        for (std::size_t part = 0; part < wanted.size(); ++part) {
            CHECK(at<std::array<std::uint8_t, 4>>(exit, 8 * part) == wanted.at(part));
            const auto distance = at<std::uint32_t>(exit, 8 * part + 4);
            const auto after = static_cast<std::uint32_t>(exit_address.value() + 8 * part + 8);
            CHECK(after + distance == static_cast<std::uint32_t>(site));
        }
    }
}

TEST_CASE("i386: code, boot slots and exits do not overlap in a page")
{
    // The tail of a 32-bit vdso has some 500 bytes.
    for (const std::uint64_t room : {560ULL, 700ULL, 4096ULL}) {
        const RemotePtr code{0xf7fef000 - room};
        CHECK(page_end(i386, code) == RemotePtr{0xf7fef000});
        const RemotePtr slots_end =
            first_boot_slot(i386, code) + i386.wanted_boot_slots() * i386.boot_slot_size();
        CHECK(code + i386.code_size() <= first_boot_slot(i386, code));
        CHECK(slots_end <= first_exit(i386, code));
        CHECK(first_exit(i386, code) + i386.exit_size() <= page_end(i386, code));
    }
    CHECK(first_exit(native_architecture(), RemotePtr{0x7f0000000e00}) ==
          RemotePtr{0x7f0000001000}); // it needs none
}

TEST_CASE("i386: the code has its marks after int $0x80, and the signature")
{
    const Signature signature{0x0123456789abcdef, 0xfedcba9876543210};
    const auto code = i386.make_code(signature);
    REQUIRE(code.size() == i386.code_size());
    CHECK(at<Signature>(code, 0) == signature);
    for (const std::uint64_t mark : {std::uint64_t{MARK_REPORT}, std::uint64_t{MARK_BOOT_REPORT}}) {
        std::vector<std::size_t> places;
        for (std::size_t place = 0; place + sizeof mark <= code.size(); ++place) {
            if (at<std::uint64_t>(code, place) == mark) {
                places.push_back(place);
            }
        }
        REQUIRE(places.size() == 1);
        CHECK(at<std::uint64_t>(code, places[0] + sizeof mark) == signature[0]);
        const std::size_t pc = places[0] - i386.mark_offset();
        CHECK(at<std::array<std::uint8_t, 2>>(code, pc - 2) ==
              std::array<std::uint8_t, 2>{0xcd, 0x80});
        if (mark == MARK_BOOT_REPORT) {
            CHECK(i386.code_of_boot_report(0x1000 + pc) == RemotePtr{0x1000});
        }
    }
}

TEST_CASE("i386: values of 32-bit registers")
{
    CHECK(i386.signed_value(0xffffffef) == -17);
    CHECK(i386.signed_value(4711) == 4711);
    CHECK(i386.boot_answer(RemotePtr{0xffc00000}, RemotePtr{0xffc00140}) == 0x140);
}
