// SPDX-License-Identifier: MIT
#include "fork_as.hpp"
#include "image/code_check.hpp"
#include "support.hpp"
#include "target/mappings.hpp"

#include <doctest/doctest.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sched.h>
#include <string>
#include <unistd.h>
#include <utility>

using namespace clone2;
using namespace clone2::test;

namespace
{

constexpr int code = PROT_READ | PROT_EXEC;

/// Why this can't be tested here. Empty: it can.
std::string no_memory_mates()
{
    if (!mapping_query_is_cheap()) {
        return "no PROCMAP_QUERY";
    }
#ifdef __SANITIZE_THREAD__
    return "ThreadSanitizer does not know processes that share memory";
#else
    return "";
#endif
}

/// Three times, because the files of a caller stay open from the second on.
void check_thrice(CodeCheck &check, pid_t tid, RemotePtr at, bool expected)
{
    for (int call = 0; call < 3; ++call) {
        CAPTURE(call);
        CHECK(check.may_run(tid, at).value() == expected);
    }
}

/// A process in this process's memory.
class MemoryMate
{
public:
    explicit MemoryMate(int (*body)(void *))
        : pid_(::clone(body, stack_.data() + stack_.size(), CLONE_VM | SIGCHLD, nullptr))
    {
        REQUIRE(pid_ > 0);
    }
    MemoryMate(const MemoryMate &) = delete;
    MemoryMate &operator=(const MemoryMate &) = delete;
    ~MemoryMate() { end(); }

    [[nodiscard]] pid_t pid() const { return pid_; }
    void end()
    {
        if (pid_ > 0) {
            (void)::kill(pid_, SIGKILL);
            (void)::waitpid(std::exchange(pid_, -1), nullptr, 0);
        }
    }

private:
    alignas(16) std::array<char, 65536> stack_{};
    pid_t pid_;
};

int sleep_on(void *)
{
    for (;;) {
        ::pause();
    }
}

} // namespace

TEST_CASE("CodeCheck: sees each change of the page's protection")
{
    if (!mapping_query_is_cheap()) {
        return left_out("CodeCheck", "no PROCMAP_QUERY");
    }
    const Pages pages;
    const RemotePtr at = remote(pages.at(Pages::page_size()));
    CodeCheck check(procfs());
    for (int round = 0; round < 2; ++round) {
        pages.protect(1, code);
        check_thrice(check, getpid(), at, true);
        pages.protect(1, PROT_READ);
        check_thrice(check, getpid(), at, false);
    }
}

TEST_CASE("CodeCheck: many callers, of which most have ended")
{
    if (!mapping_query_is_cheap()) {
        return left_out("CodeCheck", "no PROCMAP_QUERY");
    }
    const Pages pages;
    pages.protect(1, code);
    const RemotePtr at = remote(pages.at(Pages::page_size()));
    CodeCheck check(procfs());
    for (int caller = 0; caller < 40; ++caller) {
        const auto sleeper = make_sleeper();
        check_thrice(check, sleeper->pid(), at, true);
        sleeper->kill_and_reap();
        CHECK_FALSE(check.may_run(sleeper->pid(), at).value());
    }
    check_thrice(check, getpid(), at, true);
}

TEST_CASE("CodeCheck: a tid that has passed to another process shows that one's memory")
{
    if (const std::string why = no_memory_mates(); !why.empty()) {
        return left_out("CodeCheck", why);
    }
    const Pages pages;
    pages.protect(1, code);
    const RemotePtr at = remote(pages.at(Pages::page_size()));
    CodeCheck check(procfs());
    MemoryMate mate(sleep_on);
    const pid_t pid = mate.pid();
    check_thrice(check, pid, at, true);
    mate.end(); // its memory lives on: it is ours
    const Pipe changed = make_pipe();
    const auto other = fork_as(pid, [&] {
        pages.protect(1, PROT_READ);
        put_byte(changed.write);
    });
    if (!other) {
        return left_out("a tid that is used again", "choosing a pid is not permitted");
    }
    CHECK(get_byte(changed.read) == 'x');
    check_thrice(check, pid, at, false);
    CHECK(::kill(pid, SIGKILL) == 0);
    CHECK(::waitpid(pid, nullptr, 0) == pid);
}

TEST_CASE("CodeCheck: after a boot, a thread's memory may be a new program's")
{
    if (const std::string why = no_memory_mates(); !why.empty()) {
        return left_out("CodeCheck", why);
    }
    static std::array<int, 2> go; // for the mate, which has our memory but no closure
    REQUIRE(::pipe2(go.data(), O_CLOEXEC) == 0);
    const Pages pages;
    pages.protect(1, code);
    const RemotePtr at = remote(pages.at(Pages::page_size()));
    CodeCheck check(procfs());
    MemoryMate mate([](void *) {
        char byte = 0;
        (void)!::read(go[0], &byte, 1);
        ::execl("/bin/sleep", "sleep", "1000", nullptr);
        return 1;
    });
    check_thrice(check, mate.pid(), at, true);
    CHECK(::write(go[1], "x", 1) == 1);
    while (procfs()->comm(mate.pid()) != "sleep") {
        ::usleep(1000);
    }
    check.forget_all();
    check_thrice(check, mate.pid(), at, false);
    ::close(go[0]);
    ::close(go[1]);
}
