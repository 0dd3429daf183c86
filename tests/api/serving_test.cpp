// SPDX-License-Identifier: MIT
#include "support.hpp"

#include <doctest/doctest.h>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <memory>
#include <sched.h>
#include <thread>
#include <vector>

using namespace clone2::test;
using namespace clone2::test::api;

namespace
{

constexpr std::uint64_t unknown_flag = 1ULL << 40U;
constexpr int rounds = 200;

std::int64_t now_ns()
{
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

bool readable(int fd)
{
    pollfd polled{fd, POLLIN, 0};
    return poll(&polled, 1, 0) == 1;
}

} // namespace

TEST_CASE("dispatch: serves a target's calls and reports each")
{
    Target target([] { return call_many(rounds); });
    Watched watched;
    int cookie = 0;
    const std::int64_t before = now_ns();
    watched.add(target, &cookie);
    const int status = watched.dispatch_until_end_of(target);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    const auto events = watched.events();
    REQUIRE(events.size() == rounds);
    for (const Told &told : events) {
        CHECK(told.cookie == &cookie);
        CHECK(told.tid == target.pid());
        CHECK(told.flags == SIGCHLD);
        CHECK(told.nr_pids == 0);
        CHECK(told.pids.empty());
        CHECK(told.result > 0);
        CHECK_FALSE(told.has_reason);
        CHECK(told.latency_us >= 0);
        CHECK(told.time_ns >= before);
        CHECK(told.time_ns <= now_ns());
        CHECK(told.comm.empty());
        CHECK(told.level == -1);
        CHECK(told.uid == -1);
    }
}

TEST_CASE("events: a chosen pid, a failure with its reason, details")
{
    // In a new pid namespace all pids but 1 and 2 are free. The target forks into it.
    Target target([] {
        const bool root = geteuid() == 0;
        if (unshare(root ? CLONE_NEWPID : CLONE_NEWUSER | CLONE_NEWPID) != 0) {
            return 3;
        }
        const pid_t init = fork();
        if (init != 0) {
            return reap(init);
        }
        const long pid = call_clone2(SIGCHLD, {77}, 5);
        if (pid != 77 || reap(pid) != 5) {
            _exit(1);
        }
        if (call_clone2(SIGCHLD, {1}) != -EBUSY || call_clone2(SIGCHLD | unknown_flag) != -EINVAL) {
            _exit(2);
        }
        _exit(0);
    });
    Watched watched(CLONE2_WITH_DETAILS);
    watched.add(target);
    const int status = watched.dispatch_until_end_of(target);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 3) {
        left_out("a chosen pid", "no new pid namespace");
        return;
    }
    CHECK(status == 0);
    const auto events = watched.events();
    REQUIRE(events.size() == 3);
    CHECK(events[0].result == 77);
    CHECK(events[0].nr_pids == 1);
    CHECK(events[0].pids == std::vector<pid_t>{77});
    CHECK_FALSE(events[0].has_reason);
    CHECK(events[0].level >= 1);
    CHECK(events[0].uid == static_cast<std::int64_t>(geteuid()));
    CHECK_FALSE(events[0].comm.empty());
    CHECK(events[1].result == -EBUSY);
    CHECK(events[1].pids == std::vector<pid_t>{1});
    CHECK_FALSE(events[1].reason.empty());
    CHECK(events[2].result == -EINVAL);
    CHECK(events[2].flags == (SIGCHLD | unknown_flag));
    CHECK_FALSE(events[2].reason.empty());
}

TEST_CASE("events: failures only")
{
    Target target(
        [] { return call_many(5) == 0 && call_clone2(SIGCHLD | unknown_flag) == -EINVAL ? 0 : 1; });
    Watched watched(CLONE2_FAILURES_ONLY);
    watched.add(target);
    CHECK(watched.dispatch_until_end_of(target) == 0);
    const auto events = watched.events();
    REQUIRE(events.size() == 1);
    CHECK(events[0].result == -EINVAL);
}

TEST_CASE(
    "dispatch: no more than the limit at once, and the descriptor stays readable for the rest")
{
    constexpr int count = 5;
    std::vector<std::unique_ptr<Target>> targets;
    Watched watched(0, 1);
    for (int i = 0; i < count; ++i) {
        targets.push_back(std::make_unique<Target>(
            [] { return call_clone2(SIGCHLD | unknown_flag) == -EINVAL ? 0 : 1; }));
    }
    for (auto &target : targets) {
        wait_for_state(target->pid(), "SD"); // in the call
        watched.add(*target);
    }
    for (std::size_t i = 1; i <= count; ++i) {
        std::size_t told = 0;
        while (told < i) {
            CHECK(readable(clone2_supervisor_fd(watched.get())));
            const int served = clone2_supervisor_dispatch(watched.get());
            REQUIRE(served >= 0);
            CHECK(served <= 1);
            told = watched.events().size();
            CHECK(told <= i);
        }
    }
    watched.dispatch_until([&] { return watched.ends().size() == count; });
    for (auto &target : targets) {
        CHECK(target->wait() == 0);
    }
    CHECK_FALSE(readable(clone2_supervisor_fd(watched.get())));
    CHECK(clone2_supervisor_dispatch(watched.get()) == 0);
}

TEST_CASE("run: serves many targets at once, and returns when the last has ended")
{
    constexpr int count = 4;
    std::vector<std::unique_ptr<Target>> targets;
    std::array<int, count> cookies{};
    Watched watched;
    for (auto &cookie : cookies) {
        targets.push_back(std::make_unique<Target>([] { return call_many(rounds); }));
        watched.add(*targets.back(), &cookie);
    }
    int result = -1;
    std::thread server([&] { result = clone2_supervisor_run(watched.get(), 0); });
    for (auto &target : targets) {
        CHECK(target->wait() == 0);
    }
    server.join();
    CHECK(result == 0);
    CHECK(watched.events().size() == count * rounds);
    auto ends = watched.ends();
    REQUIRE(ends.size() == count);
    for (auto &cookie : cookies) {
        CHECK(std::count_if(ends.begin(), ends.end(), [&](const End &end) {
                  return end.cookie == &cookie && end.why == CLONE2_ENDED_TARGETS_GONE;
              }) == 1);
    }

    // Again.
    Target another([] { return call_many(3); });
    watched.add(another);
    CHECK(clone2_supervisor_run(watched.get(), 0) == 0);
    CHECK(another.wait() == 0);
    CHECK(clone2_supervisor_run(watched.get(), 0) == 0); // nothing to do

    // The other way round.
    Target last([] { return call_many(3); });
    watched.add(last);
    CHECK(watched.dispatch_until_end_of(last) == 0);
}

TEST_CASE("a hundred listeners in one supervisor")
{
    constexpr std::size_t count = 100;
    for (const bool dispatched : {true, false}) {
        CAPTURE(dispatched);
        Watched watched;
        std::array<int, count> cookies{};
        std::vector<std::unique_ptr<Target>> targets;
        for (auto &cookie : cookies) {
            targets.push_back(std::make_unique<Target>([] { return call_many(3); }));
            watched.add(*targets.back(), &cookie);
        }
        CHECK(clone2_supervisor_listener_count(watched.get()) == count);
        if (dispatched) {
            watched.dispatch_until([&] { return watched.ends().size() == count; });
        } else {
            CHECK(clone2_supervisor_run(watched.get(), 0) == 0);
        }
        for (auto &target : targets) {
            CHECK(target->wait() == 0);
        }
        CHECK(clone2_supervisor_listener_count(watched.get()) == 0);
        const auto events = watched.events();
        CHECK(events.size() == 3 * count);
        for (std::size_t i = 0; i < count; ++i) {
            CHECK(std::count_if(events.begin(), events.end(), [&](const Told &told) {
                      return told.cookie == &cookies[i] && told.tid == targets[i]->pid();
                  }) == 3);
        }
        CHECK(watched.ends().size() == count);
    }
}

TEST_CASE("run: a target that calls without pause does not starve others")
{
    Watched watched;
    std::vector<std::unique_ptr<Target>> busy;
    for (int i = 0; i < 4; ++i) {
        busy.push_back(std::make_unique<Target>([] {
            for (;;) {
                if (call_clone2(SIGCHLD | unknown_flag) != -EINVAL) {
                    return 0; // ENOSYS at the end
                }
            }
        }));
        watched.add(*busy.back());
    }
    std::thread server([&] { clone2_supervisor_run(watched.get(), CLONE2_RUN_UNTIL_STOPPED); });
    for (int i = 0; i < 10; ++i) {
        Target target([] { return call_many(3); });
        watched.add(target);
        CHECK(target.wait() == 0);
    }
    clone2_supervisor_stop(watched.get());
    server.join();
    CHECK(watched.free() == 0);
    for (auto &target : busy) {
        CHECK(target->wait() == 0);
    }
}

TEST_CASE("two supervisors in one process")
{
    Target one([] { return call_many(rounds); });
    Target other([] { return call_many(rounds); });
    Watched first;
    Watched second;
    first.add(one);
    second.add(other);
    std::thread server([&] { clone2_supervisor_run(second.get(), 0); });
    CHECK(first.dispatch_until_end_of(one) == 0);
    server.join();
    CHECK(other.wait() == 0);
    CHECK(first.events().size() == rounds);
    CHECK(second.events().size() == rounds);
    for (const Told &told : first.events()) {
        CHECK(told.tid == one.pid());
    }
}

TEST_CASE("a listener installed without WAIT_KILLABLE_RECV, known and unknown")
{
    for (const bool known : {true, false}) {
        CAPTURE(known);
        Target target([] { return call_many(50); }, CLONE2_FILTER_NOT_WAIT_KILLABLE);
        CHECK((target.listener_flags() & CLONE2_LISTENER_NOT_WAIT_KILLABLE) != 0);
        CHECK((target.listener_flags() & CLONE2_LISTENER_WAIT_KILLABLE) == 0);
        Watched watched;
        REQUIRE(clone2_supervisor_add_listener(watched.get(), target.take_listener(), nullptr,
                                               known ? target.listener_flags() : 0) == 0);
        CHECK(watched.dispatch_until_end_of(target) == 0);
        CHECK(watched.events().size() == 50);
    }
}

TEST_CASE("policy: refuses some calls and affects no others")
{
    for (const bool dispatched : {true, false}) {
        CAPTURE(dispatched);
        Target target([] {
            if (call_many(10) != 0) {
                return 1;
            }
            if (call_clone2(SIGCHLD | CLONE_FS) != -EPERM) {
                return 2;
            }
            if (call_clone2(SIGCHLD | CLONE_FILES) != -EDQUOT) {
                return 3;
            }
            if (call_clone2(SIGCHLD | CLONE_IO) != -EPERM) {
                return 4;
            }
            if (waitpid(-1, nullptr, WNOHANG) != -1 || errno != ECHILD) {
                return 5; // a child was created anyway
            }
            return call_many(10);
        });
        Watched watched;
        watched.on_policy = [](const clone2_request &request, char *reason) {
            switch (request.flags & (CLONE_FS | CLONE_FILES | CLONE_IO)) {
            case CLONE_FS:
                return EPERM;
            case CLONE_FILES:
                std::strcpy(reason, "not on a Sunday");
                return EDQUOT;
            case CLONE_IO:
                return 512; // ERESTARTSYS, which no program may see
            default:
                return 0;
            }
        };
        watched.add(target);
        int status = -1;
        if (dispatched) {
            status = watched.dispatch_until_end_of(target);
        } else {
            CHECK(clone2_supervisor_run(watched.get(), 0) == 0);
            status = target.wait();
        }
        CHECK(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 0);
        const auto events = watched.events();
        REQUIRE(events.size() == 23);
        CHECK(events[10].result == -EPERM);
        CHECK(events[10].reason == "refused by policy");
        CHECK(events[11].result == -EDQUOT);
        CHECK(events[11].reason == "not on a Sunday");
        CHECK(events[12].result == -EPERM);
        CHECK(std::count_if(events.begin(), events.end(),
                            [](const Told &told) { return told.result > 0; }) == 20);
    }
}

TEST_CASE("policy: is given what the target asked for")
{
    Target target([] { return call_clone2(SIGCHLD | CLONE_FS, {0}) == -EACCES ? 0 : 1; });
    Watched watched;
    int cookie = 0;
    std::vector<Told> asked;
    watched.on_policy = [&](const clone2_request &request, char *) {
        asked.push_back({request.cookie, request.tid, request.flags, request.nr_pids,
                         std::vector<pid_t>(request.pids, request.pids + request.pids_count), 0, "",
                         false, 0, 0, request.comm, request.level, request.uid});
        return EACCES;
    };
    watched.add(target, &cookie);
    const int status = watched.dispatch_until_end_of(target);
    if (asked.empty()) { // the kernel's own rules come first
        CHECK(geteuid() != 0);
        left_out("a policy's view of pids", "choosing pids is not permitted here");
        return;
    }
    CHECK(status == 0);
    REQUIRE(asked.size() == 1);
    CHECK(asked[0].cookie == &cookie);
    CHECK(asked[0].tid == target.pid());
    CHECK(asked[0].flags == (SIGCHLD | CLONE_FS));
    CHECK(asked[0].nr_pids == 1);
    CHECK(asked[0].pids == std::vector<pid_t>{0});
    CHECK(asked[0].comm.empty()); // no details were asked for
    CHECK(asked[0].uid == -1);
}
