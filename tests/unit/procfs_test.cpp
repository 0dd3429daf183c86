// SPDX-License-Identifier: MIT
#include "base/procfs.hpp"
#include "base/remote_ptr.hpp"
#include "base/result.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>

using namespace clone2;
using namespace clone2::test;

TEST_CASE("Procfs: files of a live process")
{
    const auto sleeper = make_sleeper();
    for (const pid_t pid : {getpid(), sleeper->pid()}) {
        const auto file = procfs()->open(pid, "status", O_RDONLY);
        REQUIRE(file.has_value());
        CHECK((fcntl(file->get(), F_GETFD) & FD_CLOEXEC) != 0);
        const auto status = procfs()->read_if_alive(pid, "status");
        REQUIRE(status.has_value());
        CHECK(status->find("Name:") == 0);
        CHECK(status->back() == '\n');
        CHECK(procfs()->status_field(pid, "Pid") == std::to_string(pid));
        CHECK(procfs()->status_field(pid, "Tgid") == std::to_string(pid));
    }
    CHECK(procfs()->status_field(sleeper->pid(), "PPid") == std::to_string(getpid()));
    CHECK_FALSE(procfs()->status_field(getpid(), "NoSuchField").has_value());
    CHECK_FALSE(procfs()->status_field(getpid(), "id").has_value()); // not part of a field name
    // Larger than a page; all of it is read.
    const auto maps = procfs()->read_if_alive(getpid(), "smaps");
    REQUIRE(maps.has_value());
    CHECK(maps->size() > 8192);
    CHECK(maps->find("[stack]") != std::string::npos);
    const auto missing = procfs()->open(getpid(), "no-such-file", O_RDONLY);
    REQUIRE(missing.has_error());
    CHECK(missing.error().err == ENOENT);
}

TEST_CASE("Procfs: the command name in a status file is unescaped")
{
    const std::string before = procfs()->comm(getpid());
    for (const char *const name : {"plain", "a\nb", "a\\nb\\", "tab\t\x1b\"", "\\", ""}) {
        REQUIRE(prctl(PR_SET_NAME, name) == 0);
        const auto status = procfs()->read_if_alive(getpid(), "status");
        REQUIRE(status.has_value());
        CHECK(comm_in_status(*status) == name);
    }
    REQUIRE(prctl(PR_SET_NAME, before.c_str()) == 0);
    CHECK(comm_in_status("").empty());
    CHECK(comm_in_status("Name:\tx\\") == "x\\"); // torn
}

TEST_CASE("Procfs: a dead process has none")
{
    const pid_t dead = dead_pid();
    const auto file = procfs()->open(dead, "status", O_RDONLY);
    REQUIRE(file.has_error());
    CHECK(file.error().target_gone());
    CHECK_FALSE(procfs()->read_if_alive(dead, "status").has_value());
    CHECK_FALSE(procfs()->status_field(dead, "Pid").has_value());
    CHECK(procfs()->comm(dead).empty());
    CHECK(procfs()->namespace_inode(dead, "pid") == 0);
    const auto pids = procfs()->pids();
    CHECK(std::count(pids.begin(), pids.end(), dead) == 0);
}

TEST_CASE("Procfs: pids has every process once, and nothing else")
{
    const auto sleeper = make_sleeper();
    const auto pids = procfs()->pids();
    CHECK(std::count(pids.begin(), pids.end(), getpid()) == 1);
    CHECK(std::count(pids.begin(), pids.end(), sleeper->pid()) == 1);
    CHECK(std::all_of(pids.begin(), pids.end(), [](pid_t pid) { return pid > 0; }));
}

TEST_CASE("Procfs: comm is returned byte for byte")
{
    for (const char *name :
         {"plain", "with blank", "(odd) name", "line\nfeed", "a:b\tc", "\xff\x01high", "", "\n"}) {
        Pipe ready = make_pipe();
        const Child child([&] {
            prctl(PR_SET_NAME, name);
            put_byte(ready.write);
            for (;;) {
                pause();
            }
            return 0;
        });
        CHECK(get_byte(ready.read) == 'x');
        CHECK(procfs()->comm(child.pid()) == name);
    }
}

TEST_CASE("Error: says what failed, on which target, and why")
{
    const Error error{"ptrace(PTRACE_SEIZE)", 4711, EPERM};
    CHECK(error.to_string() == "ptrace(PTRACE_SEIZE, 4711): Operation not permitted");
    CHECK_FALSE(error.target_gone());
    CHECK(Error{"x", 1, ESRCH}.target_gone());
    CHECK(Error{"x", 1, ENOENT}.target_gone());
    const std::string none = Error{"waitid()", 0, EINVAL}.to_string();
    CHECK(none.find("waitid(") == 0);
    CHECK(none.find("Invalid argument") != std::string::npos);
    CHECK(none.find('0') == std::string::npos); // no target
    CHECK(error.refusal() ==
          "ptrace(PTRACE_SEIZE, 4711): Operation not permitted; the supervisor may not do that to "
          "the caller, or a seccomp filter forbids it");
    const Error traced{"ptrace(PTRACE_SEIZE)", 4711, EPERM, Cause::not_traceable};
    CHECK(traced.to_string() == error.to_string());
    CHECK(traced.refusal().find("; the caller is traced by a debugger") != std::string::npos);
    CHECK(Error{"x()", 0, EIO}.refusal() == "x(): Input/output error");
    // A cause that is no operation's errno has an errno and a text of its own.
    for (const Cause cause :
         {Cause::target_moved, Cause::slots_in_use, Cause::no_room, Cause::no_exit,
          Cause::other_code_segment, Cause::no_memory, Cause::calls_dispatched,
          Cause::second_listener, Cause::no_notifications, Cause::child_killed}) {
        const Error own(cause, 4711);
        CHECK(own.err > 0);
        CHECK_FALSE(own.target_gone());
        CHECK(own.to_string().size() > 10);
        CHECK(own.refusal() == own.to_string());
    }
    CHECK(Error(Cause::slots_in_use).err == EAGAIN);
    CHECK(Error(Cause::slots_in_use).to_string() ==
          "too many calls under way in this address space");
    errno = EBUSY;
    const Error last = last_error("open()", 5);
    CHECK(last.err == EBUSY);
    CHECK(last.tid == 5);
}

TEST_CASE("Fd: owns one descriptor")
{
    Pipe pipe = make_pipe();
    const int number = pipe.read.get();
    const auto is_open = [&] { return fcntl(number, F_GETFD) >= 0; };
    {
        Fd moved = std::move(pipe.read);
        CHECK(moved.get() == number);
        CHECK(is_open());
        CHECK(moved);
    }
    CHECK_FALSE(is_open());
    Pipe other = make_pipe();
    const int kept = other.read.release();
    CHECK_FALSE(other.read);
    CHECK(fcntl(kept, F_GETFD) >= 0);
    other.read = Fd(kept);
    CHECK(other.read.get() == kept);
    other.read.reset();
    CHECK(fcntl(kept, F_GETFD) < 0);
}

TEST_CASE("RemotePtr: an address and no more")
{
    constexpr RemotePtr pointer{0x1000};
    static_assert((pointer + 8).value() == 0x1008);
    static_assert((pointer - 8).value() == 0xff8);
    static_assert(pointer < pointer + 1);
    static_assert(!RemotePtr{});
    CHECK((RemotePtr{~0ULL} + 1).value() == 0);
}
