// SPDX-License-Identifier: MIT
#include "base/nesting_level.h"
#include "support.hpp"
#include "target/namespaces.hpp"

#include <doctest/doctest.h>

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <sched.h>
#include <string>

using namespace clone2;
using namespace clone2::test;

namespace
{

std::uint64_t inode_of(const char *path)
{
    struct stat seen {
    };
    REQUIRE(stat(path, &seen) == 0);
    return seen.st_ino;
}

/// Whether it has CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE in its own user namespace.
bool capable(pid_t pid)
{
    constexpr std::uint64_t wanted = 1ULL << 21U | 1ULL << 40U;
    const auto mask = procfs()->status_field(pid, "CapEff");
    REQUIRE(mask.has_value());
    return (std::strtoull(mask->c_str(), nullptr, 16) & wanted) != 0;
}

const NamespaceInspector &inspector()
{
    static const NamespaceInspector one(procfs());
    return one;
}

TargetNamespaces look_at(pid_t pid)
{
    auto seen = inspector().inspect(pid);
    REQUIRE(seen.has_value());
    CHECK(inspector().creates_in_ours(pid) == (seen->chain.size() == 1));
    return std::move(*seen);
}

/// A child that has entered new namespaces and, if requested, its own child, their init.
struct Nested {
    explicit Nested(int flags, bool with_init)
    {
        Pipe pipe = make_pipe();
        child = std::make_unique<Child>([&] {
            if (unshare(flags) != 0) {
                return 1;
            }
            die_with_parent();
            std::unique_ptr<Child> inner;
            if (with_init) {
                inner = make_sleeper();
            }
            const pid_t innermost = inner ? inner->pid() : getpid();
            if (write(pipe.write.get(), &innermost, sizeof innermost) != sizeof innermost) {
                return 2;
            }
            for (;;) {
                pause();
            }
            return 0;
        });
        pipe.write.reset();
        if (read(pipe.read.get(), &pid, sizeof pid) != sizeof pid) {
            left_out("new user and pid namespaces", "unshare(2) is refused");
            pid = -1;
        }
    }

    std::unique_ptr<Child> child;
    pid_t pid = -1;
};

} // namespace

TEST_CASE("NamespaceInspector: this process itself")
{
    const TargetNamespaces seen = look_at(getpid());
    CHECK(seen.level == inspector().own_level());
    REQUIRE(seen.chain.size() == 1);
    CHECK(seen.chain[0].inode == inode_of("/proc/self/ns/pid"));
    REQUIRE(seen.chain[0].fd);
    CHECK(seen.chain[0].fd->get() >= 0);
    if (!capable(getpid())) {
        CHECK_FALSE(seen.chain[0].privileged);
        CHECK_FALSE(seen.privileged_beyond);
    }
    const int probed = nesting_level();
    if (probed < 0) {
        left_out("nesting level by probe", "clone3 with set_tid is refused");
    } else {
        CHECK(static_cast<unsigned>(probed) == inspector().own_level());
    }
}

TEST_CASE("NamespaceInspector: a child in the same namespaces looks the same")
{
    const auto sleeper = make_sleeper();
    const TargetNamespaces own = look_at(getpid());
    const TargetNamespaces seen = look_at(sleeper->pid());
    CHECK(seen.level == own.level);
    REQUIRE(seen.chain.size() == 1);
    CHECK(seen.chain[0].inode == own.chain[0].inode);
    CHECK(seen.chain[0].privileged == own.chain[0].privileged);
    CHECK(seen.privileged_beyond == own.privileged_beyond);
}

TEST_CASE("NamespaceInspector: a child without capabilities is not privileged")
{
    if (geteuid() != 0) {
        left_out("dropping capabilities", "there are none");
        return;
    }
    constexpr uid_t nobody = 65534;
    Pipe ready = make_pipe();
    const Child child([&] {
        if (setresuid(nobody, nobody, nobody) != 0) {
            return 1;
        }
        put_byte(ready.write);
        for (;;) {
            pause();
        }
        return 0;
    });
    CHECK(get_byte(ready.read) == 'x');
    CHECK_FALSE(capable(child.pid()));
    const TargetNamespaces seen = look_at(child.pid());
    CHECK_FALSE(seen.chain.at(0).privileged);
    CHECK_FALSE(seen.facts(1).privileged);
}

TEST_CASE("NamespaceInspector: inside new user and pid namespaces")
{
    const Nested nested(CLONE_NEWUSER | CLONE_NEWPID, true);
    if (nested.pid < 0) {
        return;
    }
    const TargetNamespaces own = look_at(getpid());
    const TargetNamespaces seen = look_at(nested.pid);
    CHECK(seen.level == own.level + 1);
    REQUIRE(seen.chain.size() == 2);
    CHECK(seen.chain[0].inode != seen.chain[1].inode);
    CHECK(seen.chain[1].inode == own.chain[0].inode);
    REQUIRE(seen.chain[0].fd);
    // All capabilities in the new user namespace, none in ours.
    CHECK(seen.chain[0].privileged);
    CHECK_FALSE(seen.chain[1].privileged);
    CHECK_FALSE(seen.privileged_beyond);
    CHECK(seen.facts(1).privileged);
    CHECK_FALSE(seen.facts(2).privileged);
    CHECK(seen.facts(1).level == own.level + 1);
}

TEST_CASE("NamespaceInspector: the children's namespace counts, even without an init")
{
    const Nested nested(CLONE_NEWUSER | CLONE_NEWPID, false);
    if (nested.pid < 0) {
        return;
    }
    const TargetNamespaces own = look_at(getpid());
    const TargetNamespaces seen = look_at(nested.pid);
    CHECK(seen.level == own.level + 1);
    REQUIRE(seen.chain.size() == 2);
    CHECK(seen.chain[0].fd == nullptr);
    CHECK(seen.chain[0].privileged);
    CHECK(seen.chain[1].inode == own.chain[0].inode);
    CHECK_FALSE(seen.chain[1].privileged);
}

TEST_CASE("NamespaceInspector: a new user namespace alone gives up the privilege over ours")
{
    const Nested nested(CLONE_NEWUSER, false);
    if (nested.pid < 0) {
        return;
    }
    const TargetNamespaces seen = look_at(nested.pid);
    CHECK(seen.level == inspector().own_level());
    REQUIRE(seen.chain.size() == 1);
    CHECK_FALSE(seen.chain[0].privileged);
}

TEST_CASE("NamespaceInspector: a dead target is reported as gone")
{
    const auto seen = inspector().inspect(dead_pid());
    REQUIRE(seen.has_error());
    CHECK(seen.error().target_gone());
    CHECK_FALSE(inspector().creates_in_ours(dead_pid()));
}

TEST_CASE("nesting_level: one more in a nested namespace")
{
    const int own = nesting_level();
    Child child([own] {
        if (unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) {
            return 3;
        }
        Child init([own] { return nesting_level() == own + 1 ? 0 : 1; });
        return WEXITSTATUS(init.wait());
    });
    const int status = WEXITSTATUS(child.wait());
    if (own < 0 || status == 3) {
        left_out("nesting level by probe", "clone3 with set_tid, or unshare(2), is refused");
        return;
    }
    CHECK(status == 0);
    // No side effects: no child is left behind.
    CHECK(waitpid(-1, nullptr, WNOHANG | __WALL) == -1);
}

TEST_CASE("TargetNamespaces::facts: privilege over all namespaces asked for, and no others")
{
    TargetNamespaces target;
    target.level = 4;
    for (const bool privileged : {true, true, false}) {
        PidNamespace one;
        one.privileged = privileged;
        target.chain.push_back(one);
    }
    target.privileged_beyond = true;
    CHECK(target.facts(1).level == 4);
    CHECK(target.facts(1).privileged);
    CHECK(target.facts(2).privileged);
    CHECK_FALSE(target.facts(3).privileged);
    CHECK_FALSE(target.facts(4).privileged);
    CHECK_FALSE(target.facts(5).privileged);
    target.chain[2].privileged = true;
    CHECK(target.facts(3).privileged);
    CHECK(target.facts(5).privileged);
    CHECK(target.facts(0xffffffff).level == 4);
    target.privileged_beyond = false;
    CHECK(target.facts(3).privileged);
    CHECK_FALSE(target.facts(4).privileged);
    target.chain[0].privileged = false;
    CHECK_FALSE(target.facts(1).privileged);
}

TEST_CASE("NamespaceInspector: a caller's details are those in its status file")
{
    constexpr char name[] = "a\n\\) b"; // bytes that the status file writes differently
    constexpr uid_t other = 65533;
    const Pipe ready = make_pipe();
    Child child([&] {
        // Root may become anybody.
        (void)::setresuid(static_cast<uid_t>(-1), other, static_cast<uid_t>(-1));
        (void)::prctl(PR_SET_NAME, name);
        put_byte(ready.write);
        ::pause();
        return 0;
    });
    CHECK(get_byte(ready.read) == 'x');
    const CallerDetails details = inspector().details_of(child.pid());
    const auto status = procfs()->read_if_alive(child.pid(), "status");
    REQUIRE(status.has_value());
    CHECK(details.comm == name);
    CHECK(details.comm == comm_in_status(*status));
    CHECK(details.uid == euid_in_status(*status));
    CHECK(details.uid == (::geteuid() == 0 ? other : ::geteuid()));
    CHECK(details.level == inspector().own_level());
    CHECK_FALSE(details.below);

    child.kill_and_reap();
    const CallerDetails gone = inspector().details_of(child.pid());
    CHECK(gone.comm.empty());
    CHECK_FALSE(gone.level);
    CHECK_FALSE(gone.uid);
}
