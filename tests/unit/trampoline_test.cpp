// SPDX-License-Identifier: MIT
#include "arch/architecture.hpp"
#include "image/identity.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <linux/audit.h>
#include <linux/sched.h>
#include <vector>

using namespace clone2;
using namespace clone2::test;

namespace
{

constexpr RemotePtr slot_address{0x7f00deadb000};

std::uint64_t word_at(const std::vector<std::byte> &bytes, std::size_t offset)
{
    std::uint64_t word = 0;
    REQUIRE(offset + sizeof word <= bytes.size());
    std::memcpy(&word, bytes.data() + offset, sizeof word);
    return word;
}

/// All positions of the eight bytes of `word`.
std::vector<std::size_t> places_of(const std::vector<std::byte> &bytes, std::uint64_t word)
{
    std::vector<std::size_t> places;
    for (std::size_t at = 0; at + sizeof word <= bytes.size(); ++at) {
        if (word_at(bytes, at) == word) {
            places.push_back(at);
        }
    }
    return places;
}

SlotCall random_call(Random &random)
{
    SlotCall call;
    call.state.owner = static_cast<std::int32_t>(random.next());
    call.index = static_cast<std::uint32_t>(random.next() % native_architecture().slot_count());
    call.report_success = random.next() % 2 == 0;
    call.return_address = random.next();
    call.nr = random.next();
    for (std::uint64_t &arg : call.saved_args) {
        arg = random.next();
    }
    call.started_ns = static_cast<std::int64_t>(random.next());
    call.attempts = static_cast<std::uint32_t>(random.next() % 1000);
    call.request_flags = random.next();
    call.nr_pids = static_cast<std::uint32_t>(random.next());
    call.call.flags = random.next();
    call.call.pidfd = random.next();
    call.call.child_tid = random.next();
    call.call.parent_tid = random.next();
    call.call.exit_signal = random.next();
    call.call.stack = random.next();
    call.call.stack_size = random.next();
    call.call.tls = random.next();
    call.call.child_sp = random.next();
    call.call.set_tid_size = random.next() % (PLAN_MAX_SET_TID + 1);
    for (std::uint32_t i = 0; i < call.call.set_tid_size; ++i) {
        call.call.set_tid[i] = static_cast<pid_t>(random.next());
    }
    call.call.to_pick = random.next();
    call.call.plain = random.next() % 2 == 0;
    return call;
}

void check_same(const SlotCall &found, const SlotCall &wanted)
{
    CHECK(found.state.owner == wanted.state.owner);
    CHECK(found.spare == wanted.spare);
    if (!wanted.spare) {
        CHECK(found.index == wanted.index);
    }
    CHECK(found.report_success == wanted.report_success);
    CHECK(found.return_address == wanted.return_address);
    CHECK(found.nr == wanted.nr);
    CHECK(found.saved_args[0] == wanted.saved_args[0]);
    CHECK(found.saved_args[1] == wanted.saved_args[1]);
    if (wanted.spare) { // else the code itself writes them
        for (const std::size_t at : {2U, 3U, 5U}) {
            CHECK(found.saved_args.at(at) == wanted.saved_args.at(at));
        }
    }
    CHECK(found.started_ns == wanted.started_ns);
    CHECK(found.attempts == wanted.attempts);
    CHECK(found.request_flags == wanted.request_flags);
    CHECK(found.nr_pids == wanted.nr_pids);
    CHECK(found.call.flags == wanted.call.flags);
    CHECK(found.call.pidfd == wanted.call.pidfd);
    CHECK(found.call.child_tid == wanted.call.child_tid);
    CHECK(found.call.parent_tid == wanted.call.parent_tid);
    CHECK(found.call.exit_signal == wanted.call.exit_signal);
    CHECK(found.call.stack == wanted.call.stack);
    CHECK(found.call.stack_size == wanted.call.stack_size);
    CHECK(found.call.tls == wanted.call.tls);
    CHECK(found.call.child_sp == wanted.call.child_sp);
    CHECK(found.call.set_tid_size == wanted.call.set_tid_size);
    CHECK(std::ranges::equal(found.call.set_tid, wanted.call.set_tid));
    CHECK(found.call.to_pick == wanted.call.to_pick);
    CHECK(found.call.plain == wanted.call.plain);
}

} // namespace

TEST_CASE("slots: decoding restores what was encoded")
{
    Random random(435);
    for (int round = 0; round < 200; ++round) {
        SlotCall call = random_call(random);
        call.spare = round % 4 == 0;
        const auto bytes = native_architecture().encode_slot(call, slot_address);
        CHECK(bytes.size() <= native_architecture().slot_size());
        check_same(native_architecture().decode_slot(bytes), call);
        // The rest of a used slot doesn't matter, except unused entries of set_tid.
        auto padded = bytes;
        padded.resize(native_architecture().slot_size(), std::byte{0});
        check_same(native_architecture().decode_slot(padded), call);
    }
}

TEST_CASE("slots: what keeps one busy")
{
    SlotCall call;
    const auto state = [&] {
        return native_architecture()
            .decode_slot(native_architecture().encode_slot(call, slot_address))
            .state;
    };
    CHECK(SlotState{}.free());
    CHECK_FALSE(SlotState{1, 0, 0}.free());
    CHECK_FALSE(SlotState{0, 1, 0}.free());
    CHECK(SlotState{0, 0, 4711}.free());
    CHECK(state().parent_busy != 0);
    CHECK(state().child_busy == 0); // it has its own copy
    call.call.flags = CLONE_VM;
    CHECK(state().parent_busy != 0);
    CHECK(state().child_busy != 0);
}

TEST_CASE("slots: clone3 gets the address of set_tid")
{
    SlotCall call;
    call.call.flags = 0x1122334455667788;
    call.call.set_tid_size = 2;
    call.call.set_tid[0] = 0x01020304;
    call.call.set_tid[1] = 0x05060708;
    const auto bytes = native_architecture().encode_slot(call, slot_address);
    const auto set_tid = places_of(bytes, 0x0506070801020304);
    REQUIRE(set_tid.size() == 1);
    const auto pointer = (slot_address + set_tid[0]).value();
    CHECK(places_of(bytes, pointer).size() == 1);
    // The report contains clone3's arguments, whose first word is the flags.
    const auto flags = places_of(bytes, call.call.flags);
    REQUIRE(flags.size() == 1);
    CHECK(native_architecture().slot_of_report((slot_address + flags[0]).value()) == slot_address);
    // Without chosen pids clone3 gets no pointer.
    call.call.set_tid_size = 0;
    CHECK(places_of(native_architecture().encode_slot(call, slot_address), pointer).empty());
}

TEST_CASE("slots: anything a target writes decodes without harm")
{
    Random random(1);
    for (std::size_t size = 0; size <= native_architecture().slot_size(); size += 4) {
        std::vector<std::byte> bytes(size);
        for (std::byte &byte : bytes) {
            byte = size % 8 == 0 ? std::byte{0xff} : static_cast<std::byte>(random.next());
        }
        const SlotCall call = native_architecture().decode_slot(bytes);
        CHECK(call.call.set_tid_size <= PLAN_MAX_SET_TID);
        (void)native_architecture().decode_boot_slot(bytes);
    }
}

TEST_CASE("slots: none overlaps another, or the header, or the area's end")
{
    REQUIRE(native_architecture().slot_count() > 0);
    CHECK(native_architecture().slot_offset(0) >= sizeof(AreaHeader));
    for (std::uint32_t i = 1; i < native_architecture().slot_count(); ++i) {
        CHECK(native_architecture().slot_offset(i - 1) + native_architecture().slot_size() <=
              native_architecture().slot_offset(i));
    }
    CHECK(native_architecture().slot_offset(native_architecture().slot_count() - 1) +
              native_architecture().slot_size() <=
          native_architecture().area_size());
    for (std::uint32_t i = 0; i < native_architecture().slot_count(); ++i) {
        CHECK(native_architecture().slot_offset(i) % alignof(std::uint64_t) == 0);
    }
    CHECK(native_architecture().area_size() % Pages::page_size() == 0);
}

TEST_CASE("boot slots: decoding restores what was encoded")
{
    Random random(9);
    for (int round = 0; round < 100; ++round) {
        BootCall call;
        for (std::uint64_t &arg : call.args) {
            arg = random.next();
        }
        call.return_address = random.next();
        call.nr = random.next();
        call.owner = static_cast<std::int32_t>(random.next());
        const auto bytes = native_architecture().encode_boot_slot(call);
        CHECK(bytes.size() == native_architecture().boot_slot_size());
        const BootCall found = native_architecture().decode_boot_slot(bytes);
        CHECK(found.args == call.args);
        CHECK(found.return_address == call.return_address);
        CHECK(found.nr == call.nr);
        CHECK(found.owner == call.owner);
        std::int32_t owner = 0;
        std::memcpy(&owner, bytes.data() + native_architecture().boot_owner_offset(), sizeof owner);
        CHECK(owner == call.owner);
    }
}

TEST_CASE("code: signature and marks are at their places and nowhere else")
{
    const Signature signature{0x0123456789abcdef, 0xfedcba9876543210};
    const auto code = native_architecture().make_code(signature);
    CHECK(code.size() == native_architecture().code_size());
    CHECK(places_of(code, signature[1]) == std::vector<std::size_t>{8});
    std::vector<std::size_t> words{0};
    for (const std::uint64_t mark : {std::uint64_t{MARK_REPORT}, std::uint64_t{MARK_BOOT_REPORT}}) {
        const auto places = places_of(code, mark);
        REQUIRE(places.size() == 1);
        const std::size_t pc = places[0] - native_architecture().mark_offset();
        // After a `syscall` instruction, with a word of the signature.
        CHECK(code[pc - 2] == std::byte{0x0f});
        CHECK(code[pc - 1] == std::byte{0x05});
        CodeMark behind;
        std::memcpy(&behind, code.data() + places[0], sizeof behind);
        CHECK(behind.is_code());
        CHECK(behind.is_report() == (mark == MARK_REPORT));
        const std::uint64_t word = behind.signature;
        CHECK(word == signature[0]);
        words.push_back(places[0] + offsetof(CodeMark, signature));
        if (behind.is_boot_report()) {
            CHECK(native_architecture().code_of_boot_report(0x1000 + pc) == RemotePtr{0x1000});
        }
    }
    CHECK(places_of(code, signature[0]) == words);
    // All versions recognise each other by these.
    CHECK(MARK_REPORT == 0x005232656e6f6c63);
    CHECK(MARK_BOOT_REPORT == 0x004232656e6f6c63);
    CHECK(native_architecture().call_entry() >= sizeof(CodeHeader));
    CHECK(native_architecture().boot_entry() >= sizeof(CodeHeader));
    CHECK(native_architecture().call_entry() != native_architecture().boot_entry());
    CHECK(native_architecture().call_entry() < native_architecture().code_size());
    CHECK(native_architecture().boot_entry() < native_architecture().code_size());
    CHECK(native_architecture().audit_arch() == AUDIT_ARCH_X86_64);
}

TEST_CASE("code: another signature changes nothing else")
{
    const auto one = native_architecture().make_code({0x0101010101010101, 0x0101010101010101});
    const auto other = native_architecture().make_code({~0ULL, ~0ULL});
    REQUIRE(one.size() == other.size());
    std::size_t different = 0;
    for (std::size_t i = 0; i < one.size(); ++i) {
        different += one[i] != other[i] ? 1 : 0;
    }
    CHECK(different == sizeof(Signature) + 2 * sizeof CodeMark::signature);
}

TEST_CASE("make_signature: the same for a successor, different if anything differs")
{
    const Signature mine = make_signature(*procfs(), native_architecture());
    CHECK(mine == make_signature(*procfs(), native_architecture()));
    CHECK(mine[0] != 0);
    CHECK(mine[1] != 0);
    CHECK(mine[0] != mine[1]);

    const std::vector<std::byte> code(100, std::byte{7});
    std::vector<std::byte> other_code = code;
    other_code[50] = std::byte{8};
    const std::vector<std::uint64_t> layout{1, 2, 3};
    const std::vector<std::uint64_t> other_layout{1, 2, 4};
    const Signature base = make_signature(code, layout, 4, 5, "boot");
    CHECK(base == make_signature(code, layout, 4, 5, "boot"));
    CHECK(base != make_signature(other_code, layout, 4, 5, "boot"));
    CHECK(base != make_signature(code, other_layout, 4, 5, "boot"));
    CHECK(base != make_signature(code, layout, 3, 5, "boot"));
    CHECK(base != make_signature(code, layout, 4, 6, "boot"));
    CHECK(base != make_signature(code, layout, 4, 5, "another boot"));
}
