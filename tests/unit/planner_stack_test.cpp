// SPDX-License-Identifier: MIT
#include "planner_oracle.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace clone2;
using namespace clone2::test;

namespace
{

constexpr std::uint64_t sigchld = 17;
constexpr std::uint64_t mebibyte = 1ULL << 20U;

CloneCall call_of(std::uint64_t child_stack, std::uint64_t flags)
{
    Request request;
    request.flags = flags;
    request.child_stack = child_stack;
    request.nr_pids = 1; // so that it takes a clone3
    request.pids[0] = 77;
    const Plan planned = plan(request, std::nullopt);
    REQUIRE(std::holds_alternative<CloneCall>(planned));
    return std::get<CloneCall>(planned);
}

std::vector<std::uint64_t> edges()
{
    std::vector<std::uint64_t> values{0, 1, 2, 3, 15, 16, 4095, 4096, 4097, ~0ULL, ~0ULL - 15};
    for (unsigned bit = 12; bit < 64; ++bit) {
        const std::uint64_t power = 1ULL << bit;
        values.insert(values.end(), {power - 4097, power - 4096, power - 4095, power - 1, power,
                                     power + 1, power + 4096});
    }
    return values;
}

} // namespace

TEST_CASE("planner: no stack given, no stack passed on")
{
    const CloneCall call = call_of(0, sigchld);
    CHECK(call.stack == 0);
    CHECK(call.stack_size == 0);
    CHECK(call.child_sp == 0);
}

TEST_CASE("planner: any stack pointer is preserved, in a form that clone3 accepts")
{
    Tally tally;
    for (const std::uint64_t pointer : edges()) {
        for (const std::uint64_t flags :
             {sigchld, vm | vfork_flag | sigchld, vm | sighand | thread}) {
            Request request;
            request.flags = flags;
            request.child_stack = pointer;
            tally.compare(request, {0, true});
            request.nr_pids = 1;
            request.pids[0] = 77;
            tally.compare(request, {0, true});
        }
    }
    CHECK(tally.compared() > 1000);
    INFO(tally.wrong(), " of ", tally.compared(), " wrong, the first:\n", tally.first());
    CHECK(tally.wrong() == 0);
}

TEST_CASE("planner: clone3 gets a realistic size for an ordinary stack")
{
    for (const std::uint64_t pointer : std::vector<std::uint64_t>{
             16 * mebibyte, 16 * mebibyte - 1, 64 * mebibyte + 8, 0x7f1234567ff0}) {
        CAPTURE(pointer);
        const CloneCall call = call_of(pointer, vm | sighand | thread);
        CHECK(call.child_sp == 0);
        CHECK(call.stack_size >= 4096);
        CHECK(call.stack_size <= 64 * mebibyte);
    }
    // Around the assumed size: the base must stay above 0.
    for (const std::uint64_t pointer : {8 * mebibyte - 1, 8 * mebibyte, 8 * mebibyte + 1}) {
        CAPTURE(pointer);
        const CloneCall call = call_of(pointer, sigchld);
        if (call.child_sp == 0) {
            CHECK(call.stack > 0);
            CHECK(call.stack_size > 0);
            CHECK(call.stack + call.stack_size == pointer);
        } else {
            CHECK(call.child_sp == pointer);
        }
    }
}

TEST_CASE("planner: what clone3 can't express is left to the child itself")
{
    for (const std::uint64_t pointer :
         std::vector<std::uint64_t>{1, user_end + 1, 1ULL << 47U, 1ULL << 63U, ~0ULL}) {
        CAPTURE(pointer);
        CHECK(call_of(pointer, sigchld).child_sp == pointer);
    }
    CHECK(call_of(user_end, sigchld).child_sp == 0);
}
