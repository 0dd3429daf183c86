// SPDX-License-Identifier: MIT
#include "abi/abi.hpp"
#include "abi/clone_struct.hpp"
#include "planner_oracle.hpp"
#include "support.hpp"
#include "target/memory.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cerrno>

using namespace clone2;
using namespace clone2::test;

namespace
{

constexpr std::uint64_t sigchld = 17;

Request request_of(std::uint64_t flags)
{
    Request request;
    request.flags = flags;
    request.parent_tid = 0xfffff000;    // distinct addresses, so that a mix-up shows
    request.pidfd = request.parent_tid; // clone(2) has one field for both
    request.child_tid = 0x10008;
    request.tls = 0x7f1234567000;
    return request;
}

/// The same with a pid, so that it takes a clone3.
Request chosen(Request request)
{
    request.nr_pids = 1;
    request.pids[0] = 77;
    return request;
}

CloneCall call_of(std::uint64_t flags)
{
    const Plan planned = plan(chosen(request_of(flags)), std::nullopt);
    REQUIRE(std::holds_alternative<CloneCall>(planned));
    return std::get<CloneCall>(planned);
}

int refused_with(std::uint64_t flags)
{
    const Plan planned = plan(request_of(flags), std::nullopt);
    const auto *const refusal = std::get_if<Refusal>(&planned);
    return refusal != nullptr ? refusal->err : 0;
}

} // namespace

TEST_CASE("planner: every exit signal with and without CLONE_THREAD and CLONE_PARENT")
{
    Tally tally;
    for (std::uint64_t signal = 0; signal <= 0xff; ++signal) {
        for (const std::uint64_t flags : {std::uint64_t{0}, vm | vfork_flag, parent, thread,
                                          vm | sighand | thread, thread | parent}) {
            tally.compare(request_of(flags | signal), {0, true});
            tally.compare(chosen(request_of(flags | signal)), {0, true});
        }
    }
    INFO(tally.first());
    CHECK(tally.wrong() == 0);
    CHECK(call_of(sigchld).exit_signal == sigchld);
    CHECK(call_of(64).exit_signal == 64);
    CHECK(call_of(65).exit_signal == 0);
    // 0x80 in clone3's flags would be CLONE_NEWTIME.
    CHECK(call_of(0x80).flags == 0);
    CHECK(call_of(parent | sigchld).exit_signal == 0);
}

TEST_CASE("planner: every single upper bit")
{
    for (unsigned bit = 32; bit < 64; ++bit) {
        CAPTURE(bit);
        const std::uint64_t flags = sigchld | 1ULL << bit;
        CHECK_FALSE(needs_facts(request_of(flags)));
        CHECK(refused_with(flags) == (bit == 32 ? 0 : EINVAL));
        Request pids = request_of(flags);
        pids.nr_pids = 1;
        pids.pids_readable = false;
        if (bit != 32) { // before EFAULT and EPERM
            const Plan planned = plan(pids, Facts{0, false});
            REQUIRE(std::holds_alternative<Refusal>(planned));
            CHECK(std::get<Refusal>(planned).err == EINVAL);
        }
        // An unknown bit beside a known one.
        CHECK(refused_with(flags | clear_sighand) == (bit == 32 ? 0 : EINVAL));
    }
    CHECK(refused_with(into_cgroup) == EINVAL);
    CHECK(call_of(clear_sighand | sigchld).flags == clear_sighand);
}

TEST_CASE("planner: every single lower flag is passed on, except CLONE_DETACHED")
{
    for (unsigned bit = 8; bit < 32; ++bit) {
        CAPTURE(bit);
        const std::uint64_t flag = 1ULL << bit;
        const CloneCall call = call_of(flag | sigchld);
        const std::uint64_t unnoticed = ptrace_flag | untraced;
        CHECK((call.flags & ~unnoticed) == (flag == detached ? 0 : flag & ~unnoticed));
    }
}

TEST_CASE("planner: random flags agree with SPEC.md")
{
    Random random(387);
    Tally tally;
    constexpr int rounds = 50000;
    for (int i = 0; i < rounds; ++i) {
        std::uint64_t flags = random.next() & random.next() & 0x1ffffffffULL;
        if (random.next() % 8 == 0) {
            flags |= 1ULL << (33 + random.next() % 31);
        }
        Request request = request_of(flags);
        request.parent_tid = random.next() & 0xffffffff;
        request.pidfd = request.parent_tid;
        request.child_tid = random.next() & 0xffffffff;
        request.tls = random.next();
        request.child_stack = random.next() % 2 == 0 ? 0 : random.next() >> (random.next() % 64);
        request.nr_pids = static_cast<std::uint32_t>(random.next() % 5);
        request.pids_readable = random.next() % 4 != 0;
        for (pid_t &pid : request.pids) {
            pid = static_cast<pid_t>(random.next() % 3);
        }
        tally.compare(request, {static_cast<unsigned>(random.next() % 5), random.next() % 4 != 0});
    }
    INFO(tally.wrong(), " of ", tally.compared(), " wrong, the first:\n", tally.first());
    CHECK(tally.wrong() == 0);
}

TEST_CASE("planner: without pids it is clone(2), as it was asked for")
{
    for (unsigned bit = 0; bit < 32; ++bit) {
        CAPTURE(bit);
        Request request = request_of(1ULL << bit | parent_settid);
        request.child_stack = 0xffffffffffffff00;
        for (const std::uint32_t nr_pids : {0U, 3U}) { // {0, 0, 0}: nothing is chosen either
            request.nr_pids = nr_pids;
            const Plan planned = plan(request, Facts{2, true});
            if (bit == 12) { // CLONE_PIDFD, too, stores at parent_tid
                CHECK(disagreement(request, {2, true}).empty());
                continue;
            }
            REQUIRE(std::holds_alternative<CloneCall>(planned));
            const auto &call = std::get<CloneCall>(planned);
            CHECK(call.plain);
            CHECK(call.flags == request.flags);
            CHECK(call.child_sp == request.child_stack);
            CHECK(call.parent_tid == request.parent_tid);
            CHECK(call.child_tid == request.child_tid);
            CHECK(call.tls == request.tls);
        }
    }
    CHECK_FALSE(call_of(sigchld).plain);
    // What clone(2) has no words for.
    const auto is_plain = [](const Request &request) {
        return std::get<CloneCall>(plan(request, std::nullopt)).plain;
    };
    Request request = request_of(clear_sighand | sigchld);
    CHECK_FALSE(is_plain(request));
    request = request_of(sigchld);
    request.child_stack = 0x10000;
    request.stack_size = 0x1000;
    CHECK_FALSE(is_plain(request));
    request = request_of(pidfd | sigchld);
    CHECK(is_plain(request));
    request.pidfd += 8;
    CHECK_FALSE(is_plain(request));
}

TEST_CASE("planner: CLONE_DETACHED")
{
    CHECK(call_of(detached | sigchld).flags == 0);
    CHECK(call_of(detached | vm | sigchld).flags == vm);
    // clone(2): CLONE_PIDFD turned CLONE_DETACHED from ignored into an error.
    CHECK(refused_with(pidfd | detached) == EINVAL);
}

TEST_CASE("planner: CLONE_PIDFD")
{
    const CloneCall call = call_of(pidfd | sigchld);
    CHECK(call.flags == pidfd);
    CHECK(call.pidfd == 0xfffff000);
    // Both store at parent_tid: EINVAL, even if only clone3 reports it.
    const Request both = request_of(pidfd | parent_settid | sigchld);
    CHECK(disagreement(both, {0, true}).empty());
    CHECK(disagreement(chosen(both), {0, true}).empty());
    const CloneCall other = call_of(parent_settid | sigchld);
    CHECK(other.parent_tid == 0xfffff000);
}

TEST_CASE("planner: addresses and the thread pointer reach clone3")
{
    CHECK(call_of(child_settid | sigchld).child_tid == 0x10008);
    CHECK(call_of(child_cleartid | sigchld).child_tid == 0x10008);
    CHECK(call_of(settls | sigchld).tls == 0x7f1234567000);
}

TEST_CASE("clone2_abi: every field is in its place, reserved ones are ignored")
{
    CloneStruct raw{};
    raw.flags = 0x1122334455667788;
    raw.child_stack = 0x99aabbccddeeff00;
    raw.nr_pids = 0xdeadbeef;
    raw.parent_tid = 0xfffffffe;
    raw.child_tid = 0x80000000;
    raw.reserved1 = 0xffffffff;
    raw.reserved2 = ~std::uint64_t{0};
    const Arguments args{1, 0x2222, 3, 4, 0x123456789abcdef0, 6};
    CHECK(clone2_abi.structure(args) == RemotePtr{1});
    CHECK(clone2_abi.pids(args) == RemotePtr{0x2222});
    const Request request = clone2_abi.decode(args, const_bytes_of(raw), native_architecture());
    CHECK(request.flags == raw.flags);
    CHECK(request.child_stack == raw.child_stack);
    CHECK(request.nr_pids == raw.nr_pids);
    CHECK(request.parent_tid == 0xfffffffe); // zero-extended
    CHECK(request.child_tid == 0x80000000);
    CHECK(request.pidfd == 0xfffffffe);
    CHECK(request.pids_address == 0x2222);
    CHECK(request.tls == 0x123456789abcdef0);
    CHECK(request.asked().size() == max_pids);
    CHECK(offsetof(CloneStruct, child_stack) == 8);
    CHECK(offsetof(CloneStruct, nr_pids) == 16);
    CHECK(offsetof(CloneStruct, parent_tid) == 20);
    CHECK(offsetof(CloneStruct, child_tid) == 24);
    CHECK(offsetof(CloneStruct, reserved2) == 32);
}
