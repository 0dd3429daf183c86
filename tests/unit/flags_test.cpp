// SPDX-License-Identifier: MIT
#include "plan/flags.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>

using namespace clone2;

namespace
{

// clone(2) and linux/sched.h.
const std::array<std::pair<std::uint64_t, const char *>, 26> known{{
    {0x00000100, "CLONE_VM"},
    {0x00000200, "CLONE_FS"},
    {0x00000400, "CLONE_FILES"},
    {0x00000800, "CLONE_SIGHAND"},
    {0x00001000, "CLONE_PIDFD"},
    {0x00002000, "CLONE_PTRACE"},
    {0x00004000, "CLONE_VFORK"},
    {0x00008000, "CLONE_PARENT"},
    {0x00010000, "CLONE_THREAD"},
    {0x00020000, "CLONE_NEWNS"},
    {0x00040000, "CLONE_SYSVSEM"},
    {0x00080000, "CLONE_SETTLS"},
    {0x00100000, "CLONE_PARENT_SETTID"},
    {0x00200000, "CLONE_CHILD_CLEARTID"},
    {0x00400000, "CLONE_DETACHED"},
    {0x00800000, "CLONE_UNTRACED"},
    {0x01000000, "CLONE_CHILD_SETTID"},
    {0x02000000, "CLONE_NEWCGROUP"},
    {0x04000000, "CLONE_NEWUTS"},
    {0x08000000, "CLONE_NEWIPC"},
    {0x10000000, "CLONE_NEWUSER"},
    {0x20000000, "CLONE_NEWPID"},
    {0x40000000, "CLONE_NEWNET"},
    {0x80000000, "CLONE_IO"},
    {0x100000000, "CLONE_CLEAR_SIGHAND"},
    {0x200000000, "CLONE_INTO_CGROUP"},
}};

} // namespace

TEST_CASE("flag_names: each flag by its name in clone(2)")
{
    for (const auto &entry : known) {
        const std::uint64_t flag = entry.first;
        const std::string name = entry.second;
        CAPTURE(name);
        CHECK(flag_names(flag) == std::vector<std::string>{name});
        CHECK(flag_names(flag | 17) == std::vector<std::string>{name}); // no exit signal
        CHECK(describe_flags(flag) == name);
    }
    CHECK(flag_names(0).empty());
    CHECK(flag_names(0xff).empty());
}

TEST_CASE("flag_names: bits without a name are one hexadecimal number")
{
    const std::uint64_t unknown = 0xf000000400000000;
    auto names = flag_names(unknown);
    REQUIRE(names.size() == 1);
    CHECK(names[0] == "0xf000000400000000");
    names = flag_names(unknown | 0x100 | 17);
    CHECK(names.size() == 2);
    CHECK(std::count(names.begin(), names.end(), "CLONE_VM") == 1);
    CHECK(std::count(names.begin(), names.end(), "0xf000000400000000") == 1);
}

TEST_CASE("flag_names: all bits at once, none lost, none twice")
{
    const auto names = flag_names(~0ULL);
    const std::set<std::string> unique(names.begin(), names.end());
    CHECK(unique.size() == names.size());
    CHECK(names.size() == known.size() + 1);
    for (const auto &[flag, name] : known) {
        CHECK(unique.count(name) == 1);
    }
}

TEST_CASE("describe_flags: as strace writes it")
{
    CHECK(describe_flags(0) == "0");
    CHECK(describe_flags(17) == "SIGCHLD");
    CHECK(describe_flags(0x4100 | 17) == "CLONE_VM|CLONE_VFORK|SIGCHLD");
    CHECK(describe_flags(0x100) == "CLONE_VM");
    const std::string all = describe_flags(~0ULL);
    CHECK(all.find("CLONE_VM|") != std::string::npos);
    CHECK(all.find("255") != std::string::npos); // the exit signal
}

TEST_CASE("errno_name")
{
    CHECK(errno_name(1) == "EPERM");
    CHECK(errno_name(11) == "EAGAIN"); // not EWOULDBLOCK
    CHECK(errno_name(16) == "EBUSY");
    CHECK(errno_name(22) == "EINVAL");
    CHECK(errno_name(38) == "ENOSYS");
    CHECK(errno_name(4711) == "errno 4711");
    CHECK(errno_name(1 << 30) == "errno 1073741824");
    std::set<std::string> names;
    for (int err = 1; err <= 133; ++err) {
        names.insert(errno_name(err));
    }
    CHECK(names.size() == 133);
}

TEST_CASE("signal_name: as strace writes them")
{
    CHECK(signal_name(1) == "SIGHUP");
    CHECK(signal_name(9) == "SIGKILL");
    CHECK(signal_name(17) == "SIGCHLD");
    CHECK(signal_name(31) == "SIGSYS");
    CHECK(signal_name(32) == "SIGRTMIN");
    CHECK(signal_name(35) == "SIGRT_3");
    CHECK(signal_name(64) == "SIGRT_32");
    CHECK(signal_name(65) == "65");
    CHECK(signal_name(255) == "255");
    std::set<std::string> names;
    for (unsigned signal = 1; signal <= 255; ++signal) {
        names.insert(signal_name(signal));
    }
    CHECK(names.size() == 255);
}
