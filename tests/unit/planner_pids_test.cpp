// SPDX-License-Identifier: MIT
#include "planner_oracle.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

using namespace clone2;
using namespace clone2::test;

namespace
{

constexpr std::uint64_t sigchld = 17;
constexpr std::array<pid_t, 5> values{0, 1, 77, -5, 1 << 22U};

/// Every request with `nr_pids` entries from `values`.
std::vector<Request> all_requests(std::uint32_t nr_pids)
{
    std::vector<Request> requests{Request{}};
    requests[0].flags = sigchld;
    requests[0].nr_pids = nr_pids;
    for (std::uint32_t i = 0; i < nr_pids; ++i) {
        std::vector<Request> longer;
        for (const Request &request : requests) {
            for (const pid_t value : values) {
                longer.push_back(request);
                longer.back().pids[i] = value;
            }
        }
        requests = std::move(longer);
    }
    return requests;
}

Request request_of(std::vector<pid_t> pids, std::uint64_t flags = sigchld)
{
    Request request;
    request.flags = flags;
    request.nr_pids = static_cast<std::uint32_t>(pids.size());
    for (std::size_t i = 0; i < pids.size(); ++i) {
        request.pids[i] = pids[i];
    }
    return request;
}

int refused_with(const Plan &planned)
{
    const auto *const refusal = std::get_if<Refusal>(&planned);
    return refusal != nullptr ? refusal->err : 0;
}

} // namespace

TEST_CASE("planner: every arrangement of up to five pids does what SPEC.md says")
{
    Tally tally;
    for (std::uint32_t nr_pids = 0; nr_pids <= 5; ++nr_pids) {
        for (Request request : all_requests(nr_pids)) {
            for (const std::uint64_t flags : {sigchld, sigchld | newpid}) {
                request.flags = flags;
                for (const bool readable : {true, false}) {
                    request.pids_readable = readable;
                    for (unsigned level = 0; level <= 4; ++level) {
                        tally.compare(request, {level, false});
                        tally.compare(request, {level, true});
                    }
                }
            }
        }
    }
    CHECK(tally.compared() > 100000);
    INFO(tally.wrong(), " of ", tally.compared(), " wrong, the first:\n", tally.first());
    CHECK(tally.wrong() == 0);
}

TEST_CASE("planner: the arrangements that SPEC.md names")
{
    const Facts facts{1, true};
    const auto call_of = [&](const Request &request) {
        const Plan planned = plan(request, facts);
        REQUIRE(std::holds_alternative<CloneCall>(planned));
        return std::get<CloneCall>(planned);
    };
    SUBCASE("right-aligned, in the opposite order of set_tid")
    {
        const CloneCall call = call_of(request_of({77, 99}));
        CHECK(call.set_tid_size == 2);
        CHECK(call.set_tid[0] == 99);
        CHECK(call.set_tid[1] == 77);
        CHECK(call.to_pick == 0);
    }
    SUBCASE("{77, 0} needs a pick, and a look at the target for it")
    {
        const Request request = request_of({77, 0});
        CHECK(needs_facts(request));
        const CloneCall call = call_of(request);
        CHECK(call.set_tid_size == 2);
        CHECK(call.set_tid[1] == 77);
        CHECK(call.to_pick == 1);
    }
    SUBCASE("{0, 77} leaves the older one to the kernel")
    {
        const CloneCall call = call_of(request_of({0, 77}));
        CHECK(call.set_tid_size == 1);
        CHECK(call.set_tid[0] == 77);
        CHECK(call.to_pick == 0);
    }
    SUBCASE("CLONE_NEWPID: the new namespace's pid is 1, and extra")
    {
        const CloneCall call = call_of(request_of({77, 0}, sigchld | newpid));
        CHECK(call.set_tid_size == 3);
        CHECK(call.set_tid[0] == 1);
        CHECK(call.set_tid[2] == 77);
        CHECK(call.to_pick == 2);
    }
    SUBCASE("all zero: the kernel's pids, but privilege is needed")
    {
        CHECK(call_of(request_of({0, 0})).plain);
        CHECK(refused_with(plan(request_of({0, 0}), Facts{1, false})) == EPERM);
        CHECK(needs_facts(request_of({0, 0})));
    }
}

TEST_CASE("planner: errors come in the order of SPEC.md")
{
    // Each request has its own fault and all later ones.
    Request request = request_of({-5, 77, 0});
    request.pids_readable = false;
    const Facts shallow{1, false};
    const Facts deep{2, false};
    const Facts able{2, true};

    request.flags = pidfd | parent_settid | into_cgroup;
    CHECK(refused_with(plan(request, shallow)) == EINVAL);

    request.flags = pidfd | parent_settid;
    CHECK(needs_facts(request));
    CHECK(refused_with(plan(request, shallow)) == EINVAL);
    CHECK(refused_with(plan(request, deep)) == EFAULT);
    CHECK(refused_with(plan(request, able)) == EFAULT);
    request.pids_readable = true;
    CHECK(refused_with(plan(request, shallow)) == EINVAL);
    CHECK(refused_with(plan(request, deep)) == EPERM);
    CHECK(disagreement(request, able).empty()); // EINVAL, from the planner or from clone3
    request.flags = sigchld;
    // From here on the kernel decides: EAGAIN would come before the bad pid.
    CHECK(refused_with(plan(request, able)) == 0);
}

TEST_CASE("planner: as many pids as namespaces can nest, and more")
{
    Tally tally;
    for (const std::uint32_t nr_pids : {31U, 32U, 33U, 34U, 64U, 65U, 0x7fffffffU, 0xffffffffU}) {
        for (const unsigned level : {0U, 30U, 31U, 32U}) {
            for (const bool privileged : {false, true}) {
                Request request;
                request.flags = sigchld;
                request.nr_pids = nr_pids;
                tally.compare(request, {level, privileged}); // all zero
                std::fill(std::begin(request.pids), std::end(request.pids), 0);
                request.pids[std::min<std::size_t>(nr_pids, max_pids) - 1] = 77;
                tally.compare(request, {level, privileged}); // the innermost only
                request.pids_readable = false;
                tally.compare(request, {level, privileged});
            }
        }
    }
    for (const std::uint32_t nr_pids : {31U, 32U}) { // clone3 accepts no more than 32
        std::vector<pid_t> pids(nr_pids, 77);
        tally.compare(request_of(pids), {nr_pids - 1, true});
        tally.compare(request_of(pids), {nr_pids - 2, true});
        tally.compare(request_of(pids), {nr_pids - 1, false});
        pids.back() = 0;
        tally.compare(request_of(pids), {nr_pids - 1, true});
    }
    tally.compare(request_of(std::vector<pid_t>(31, 77), sigchld | newpid), {30, true});
    INFO(tally.wrong(), " of ", tally.compared(), " wrong, the first:\n", tally.first());
    CHECK(tally.wrong() == 0);
}

TEST_CASE("planner: more pids than clone3's set_tid accepts are never let through")
{
    // The initial namespace's pid is chosen for a child at level 32, or at 31 with CLONE_NEWPID.
    // That needs 33 entries; clone3 accepts 32.
    const Facts deepest{32, true};
    std::vector<pid_t> pids(33, 77);
    for (const pid_t innermost : {77, 0}) {
        pids.back() = innermost;
        CHECK(refused_with(plan(request_of(pids), deepest)) == ENOSYS);
        const Plan planned = plan(request_of(pids, sigchld | newpid), deepest);
        CHECK(refused_with(planned) != 0);
    }
    const std::vector<pid_t> one_less(32, 77);
    CHECK(refused_with(plan(request_of(one_less, sigchld | newpid), Facts{31, true})) == ENOSYS);
}

TEST_CASE("planner: facts are requested whenever the answer depends on them")
{
    // If no facts are requested, clone3 itself must produce everything that SPEC.md decides; Tally
    // has checked that above. These are the cases in which it can't.
    std::size_t wrong = 0;
    std::size_t without = 0;
    for (std::uint32_t nr_pids = 1; nr_pids <= 4; ++nr_pids) {
        for (Request request : all_requests(nr_pids)) {
            // Level and privilege over an older namespace that clone3 is not told about, and a pick
            // that needs a look at the target.
            bool any_zero = false;
            for (const pid_t pid : request.asked()) {
                any_zero = any_zero || pid == 0;
            }
            wrong += any_zero && !needs_facts(request) ? 1 : 0;
            without += needs_facts(request) ? 0 : 1;
            // Level and privilege come before EFAULT and after it.
            request.pids_readable = false;
            wrong += needs_facts(request) ? 0 : 1;
        }
    }
    CHECK(wrong == 0);
    CHECK(without > 0); // else nothing was compared without facts
    Request plain = request_of({});
    CHECK_FALSE(needs_facts(plain));
    plain.pids_readable = false;
    CHECK_FALSE(needs_facts(plain));
    CHECK(refused_with(plan(plain, std::nullopt)) == 0);
}

TEST_CASE("judge_failure: every errno, in the order of SPEC.md")
{
    constexpr int highest_errno = 133;
    for (int err = 1; err <= highest_errno; ++err) {
        CAPTURE(err);
        const int own = err == EEXIST ? EBUSY : err;
        for (const std::uint32_t nr_pids : {0U, 1U, 2U, 3U, 34U, 0xffffffffU}) {
            CAPTURE(nr_pids);
            for (const bool privileged : {true, false}) {
                const Facts facts{1, privileged};
                int wanted = own;
                if (nr_pids > 0 && !privileged) {
                    wanted = EPERM;
                }
                if (nr_pids > 2) {
                    wanted = EINVAL;
                }
                const Refusal refusal = judge_failure({}, nr_pids, facts, err);
                CHECK(refusal.err == wanted);
                CHECK_FALSE(refusal.why.empty());
            }
        }
    }
}

TEST_CASE("judge_failure: EINVAL names the flags that exclude each other")
{
    const auto why = [](std::uint64_t flags) {
        CloneCall call;
        call.flags = flags;
        return judge_failure(call, 0, {1, true}, EINVAL).why;
    };
    CHECK(why(0x00010000) == "CLONE_THREAD needs CLONE_SIGHAND");
    CHECK(why(0x00000800) == "CLONE_SIGHAND needs CLONE_VM");
    CHECK(why(0x00020200) == "CLONE_NEWNS can't be used with CLONE_FS");
    CHECK(why(0x20010900) == "CLONE_THREAD can't be used with CLONE_NEWPID");
    CHECK(why(0x100000900) == "CLONE_CLEAR_SIGHAND can't be used with CLONE_SIGHAND");
    CHECK(why(0x00000011) == "flags (see clone(2))");
}

TEST_CASE("judge_failure: flags explain EPERM only if they need a privilege")
{
    const Facts facts{1, true};
    CloneCall call;
    const auto why = [&](std::uint64_t flags) {
        call.flags = flags;
        return judge_failure(call, 1, facts, EPERM).why;
    };
    CHECK(why(0x00000011).find("flags") == std::string::npos);
    CHECK(why(0x00000011).find("seccomp filter") != std::string::npos);
    CHECK(why(0x20000011).find("flags") != std::string::npos); // CLONE_NEWPID
    CHECK(why(0x20000011).find("seccomp filter") != std::string::npos);
    CHECK(why(0x60000011).find("CLONE_NEWPID|CLONE_NEWNET") != std::string::npos);
    // The reason names the system call that was made.
    CHECK(why(0x00000011).find("clone3 ") != std::string::npos);
    call.plain = true;
    CHECK(why(0x00000011).find("clone ") != std::string::npos);
    CHECK(why(0x00000011).find("clone3") == std::string::npos);
}
