// SPDX-License-Identifier: MIT
#include "base/kernel_limits.hpp"
#include "pids/pid_picker.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <set>

using namespace clone2;
using namespace clone2::test;

namespace
{

TargetNamespaces own_namespaces()
{
    auto seen = NamespaceInspector(procfs()).inspect(getpid());
    REQUIRE(seen.has_value());
    return std::move(*seen);
}

bool in_use(pid_t pid)
{
    return kill(pid, 0) == 0 || errno != ESRCH || kill(-pid, 0) == 0 || errno != ESRCH;
}

} // namespace

TEST_CASE("PidPicker: fills the entries to pick and no others")
{
    PidPicker picker(procfs());
    const TargetNamespaces target = own_namespaces();
    std::set<pid_t> picks;
    for (int round = 0; round < 50; ++round) {
        std::array<pid_t, 2> set_tid{0, 77};
        picker.pick(getpid(), target, 1, 0, set_tid);
        CHECK(set_tid[0] > 1); // 1 is the init's
        CHECK(set_tid[0] < highest_pid);
        CHECK(set_tid[1] == 77);
        picks.insert(set_tid[0]);
    }
    CHECK(picks.size() == 50); // each follows the last
    std::array<pid_t, 2> fixed{5, 77};
    picker.pick(getpid(), target, 0, 0, fixed);
    CHECK(fixed == std::array<pid_t, 2>{5, 77});
}

TEST_CASE("PidPicker: a new namespace's 1 comes before the chain")
{
    PidPicker picker(procfs());
    std::array<pid_t, 3> set_tid{1, 0, 77};
    picker.pick(getpid(), own_namespaces(), 2, 1, set_tid);
    CHECK(set_tid[0] == 1);
    CHECK(set_tid[1] > 1);
    CHECK(set_tid[2] == 77);
}

TEST_CASE("PidPicker: repick returns the chosen pid that is in use")
{
    PidPicker picker(procfs());
    const TargetNamespaces target = own_namespaces();
    const auto sleeper = make_sleeper();
    for (const pid_t used : {getpid(), sleeper->pid(), pid_t{1}}) {
        CAPTURE(used);
        std::array<pid_t, 1> set_tid{used};
        CHECK(picker.repick(target, 0, 0, set_tid) == used);
        CHECK(set_tid[0] == used);
        std::array<pid_t, 2> nested{1, used};
        CHECK(picker.repick(target, 0, 1, nested) == used);
    }
}

TEST_CASE("PidPicker: a zombie, a thread and a group without its leader are in use")
{
    PidPicker picker(procfs());
    const TargetNamespaces target = own_namespaces();
    Child zombie([] { return 0; });
    wait_for_state(zombie.pid(), "Z");
    std::array<pid_t, 1> set_tid{zombie.pid()};
    CHECK(picker.repick(target, 0, 0, set_tid) == zombie.pid());
    zombie.wait();

    Pipe ready = make_pipe();
    Pipe end = make_pipe();
    Child leader([&] {
        end.write.reset();
        setpgid(0, 0);
        if (fork() == 0) {
            put_byte(ready.write);
            _exit(get_byte(end.read));
        }
        return 0;
    });
    CHECK(get_byte(ready.read) == 'x');
    leader.wait();
    set_tid[0] = leader.pid(); // no process's pid, but the group's
    CHECK(picker.repick(target, 0, 0, set_tid) == leader.pid());
}

TEST_CASE("PidPicker: repick picks other free pids if all chosen ones are free")
{
    PidPicker picker(procfs());
    TargetNamespaces target = own_namespaces();
    const auto sleeper = make_sleeper();
    const pid_t first = sleeper->pid();
    int taken = 0; // by another process, after it was picked
    for (int round = 0; round < 20; ++round) {
        std::array<pid_t, 2> set_tid{first, dead_pid()};
        // A pick that failed, and an older namespace that can't be seen from here.
        CHECK(picker.repick(target, 1, 0, set_tid) == 0);
        CHECK(set_tid[0] > 1);
        CHECK(set_tid[0] < highest_pid);
        CHECK(set_tid[0] != first);
        taken += in_use(set_tid[0]) ? 1 : 0;
    }
    CHECK(taken < 5);
    std::array<pid_t, 1> chosen{dead_pid()};
    CHECK(picker.repick(target, 0, 0, chosen) == 0);
}

TEST_CASE("PidPicker: learns a namespace's own pid_max from the pick that was too high")
{
    PidPicker picker(procfs());
    TargetNamespaces target = own_namespaces();
    PidNamespace child = target.chain.front();
    child.inode = 1; // nobody's: it can't be looked into
    target.chain.insert(target.chain.begin(), child);
    const auto pick = [&] {
        std::array<pid_t, 2> set_tid{0, 77};
        picker.pick(getpid(), target, 1, 0, set_tid);
        CHECK(set_tid[1] == 77);
        return set_tid[0];
    };
    const pid_t before = pick();
    std::array<pid_t, 2> set_tid{303, 77};
    CHECK(picker.wrap(target, 1, 0, set_tid));
    CHECK(set_tid == std::array<pid_t, 2>{300, 77});
    SUBCASE("and keeps below it")
    {
        CHECK(std::array{pick(), pick(), pick(), pick()} ==
              std::array<pid_t, 4>{301, 302, 300, 301});
    }
    SUBCASE("until it turns out that something else was wrong")
    {
        CHECK_FALSE(picker.wrap(target, 1, 0, set_tid));
        picker.unwrap(target, 1, 0, set_tid);
        CHECK(std::array{pick(), pick()} == std::array<pid_t, 2>{303, 304});
    }
    SUBCASE("but not of the supervisor's own namespace, whose limit can be read")
    {
        std::array<pid_t, 2> own{77, 5000};
        CHECK_FALSE(picker.wrap(target, 2, 0, own));
        CHECK(own[1] == 5000);
    }
    CHECK(before > 1);
}
