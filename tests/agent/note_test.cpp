// SPDX-License-Identifier: MIT
#include "agent/listener_note.hpp"
#include "filter/filter.hpp"

#include <doctest/doctest.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <linux/seccomp.h>
#include <new>
#include <poll.h>
#include <unistd.h>
#include <utility>

using namespace clone2;
using namespace clone2::agent;

namespace
{

/// Shared with the caller.
struct Shared {
    std::atomic<int> listener;
    std::atomic<int> signals; ///< that it has handled
};
Shared *shared = nullptr;

/// A child that makes one call, which must fail with ENOSYS.
class Caller
{
public:
    Caller()
    {
        void *const memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        REQUIRE(memory != MAP_FAILED);
        shared = new (memory) Shared{-1, 0};
        pid_ = ::fork();
        if (pid_ == 0) {
            struct sigaction action {
            };
            action.sa_handler = [](int) { ++shared->signals; };
            action.sa_flags = SA_RESTART;
            ::sigaction(SIGUSR1, &action, nullptr);
            ::signal(SIGALRM, SIG_DFL);
            ::alarm(120); // nobody answers
            const auto installed = install_filter(build_filter(CallTable()));
            shared->listener = installed ? installed->listener : -2;
            ::_exit(::syscall(standard_call.number, 0, 0) == -1 && errno == ENOSYS ? 0 : 1);
        }
        while (shared->listener == -1) {
            ::usleep(100);
        }
        REQUIRE(shared->listener >= 0);
        const Fd process{static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0))};
        listener_ = Fd(static_cast<int>(
            ::syscall(SYS_pidfd_getfd, process.get(), shared->listener.load(), 0)));
        REQUIRE(listener_);
        wait_for_call();
    }
    Caller(const Caller &) = delete;
    Caller &operator=(const Caller &) = delete;
    ~Caller()
    {
        if (pid_ > 0) {
            (void)::kill(pid_, SIGKILL);
            (void)::waitpid(pid_, nullptr, 0);
        }
        ::munmap(shared, sizeof(Shared));
    }

    /// Makes it repeat the call: each time is another notification.
    void interrupt()
    {
        const int before = shared->signals;
        REQUIRE(::kill(pid_, SIGUSR1) == 0);
        while (shared->signals == before) {
            ::usleep(100);
        }
        wait_for_call();
    }
    [[nodiscard]] int listener() const { return listener_.get(); }
    [[nodiscard]] std::uint64_t receive(NotificationRoom &room) const
    {
        REQUIRE(::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_RECV, room.bytes.data()) == 0);
        std::uint64_t id = 0;
        std::memcpy(&id, room.bytes.data(), sizeof id);
        return id;
    }
    [[nodiscard]] int status()
    {
        int status = 0;
        const pid_t ended = std::exchange(pid_, -1);
        REQUIRE(::waitpid(ended, &status, 0) == ended);
        return status;
    }

private:
    void wait_for_call() const
    {
        pollfd call{listener_.get(), POLLIN, 0};
        REQUIRE(::poll(&call, 1, 60'000) == 1);
    }

    pid_t pid_ = -1;
    Fd listener_;
};

/// What the next agent finds.
ListenerNote reopened(const ListenerNote &note)
{
    auto next = ListenerNote::open(Fd(::dup(note.fd())));
    REQUIRE(next);
    return std::move(*next);
}

} // namespace

TEST_CASE("ListenerNote: a call of which the agent noted nothing itself is not lost")
{
    Caller caller;
    auto note = ListenerNote::create(Subject());
    REQUIRE(note);
#ifndef __SANITIZE_THREAD__ // which holds signals back while a call that it does not know blocks
    for (int i = 0; i < 200; ++i) {
        caller.interrupt();
    }
#endif
    CHECK(caller.receive(note->room()) != 0);
    const ListenerNote next = reopened(*note);
    CHECK(next.fail_orphans(caller.listener()) == 1);
    CHECK(caller.status() == 0);
    CHECK(next.fail_orphans(caller.listener()) == 0);
    CHECK(next.room().bytes == NotificationRoom{}.bytes);
}

TEST_CASE("ListenerNote: a noted call is not lost, and makes room for the next")
{
    Caller caller;
    auto note = ListenerNote::create(Subject());
    REQUIRE(note);
    note->received(caller.listener(), caller.receive(note->room()));
    CHECK(note->room().bytes == NotificationRoom{}.bytes);
    CHECK(reopened(*note).fail_orphans(caller.listener()) == 1);
    CHECK(caller.status() == 0);
}

TEST_CASE("ListenerNote: a call that nobody has received is left alone")
{
    const Caller caller;
    auto note = ListenerNote::create(Subject());
    REQUIRE(note);
    CHECK(reopened(*note).fail_orphans(caller.listener()) == 0);
}
