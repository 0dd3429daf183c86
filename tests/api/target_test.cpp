// SPDX-License-Identifier: MIT
#include "support.hpp"

#include <doctest/doctest.h>

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fcntl.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>

using namespace clone2::test;
using namespace clone2::test::api;

namespace
{

constexpr uid_t nobody = 65534;

} // namespace

TEST_CASE("install_filter: what it refuses, without leaving a filter")
{
    Child child([] {
        unsigned flags = 77;
        for (const int nr : {-1, 0x40000000, 0x40000000 + CLONE2_DEFAULT_NR}) {
            if (clone2_install_filter(nr, 0, &flags) != -EINVAL) {
                return 1;
            }
        }
        if (clone2_install_filter(CLONE2_DEFAULT_NR, 1U << 20U, &flags) != -EINVAL) {
            return 2;
        }
        return flags == 77 && prctl(PR_GET_SECCOMP) == 0 ? 0 : 3;
    });
    CHECK(WEXITSTATUS(child.wait()) == 0);
}

TEST_CASE("install_filter: a listener, close-on-exec, and EBUSY the second time")
{
    Child child([] {
        const int listener = clone2_install_filter(CLONE2_DEFAULT_NR, 0, nullptr);
        if (listener < 0) {
            return 1;
        }
        if ((fcntl(listener, F_GETFD) & FD_CLOEXEC) == 0) {
            return 2;
        }
        return clone2_install_filter(CLONE2_DEFAULT_NR, 0, nullptr) == -EBUSY ? 0 : 3;
    });
    CHECK(WEXITSTATUS(child.wait()) == 0);
}

TEST_CASE("install_filter: one number only, of one ABI")
{
    // Nothing serves the listener: a call that reached it would never end.
    Child child([] {
        const int listener = clone2_install_filter(CLONE2_DEFAULT_NR, 0, nullptr);
        if (listener < 0) {
            return 1;
        }
        constexpr long x32 = 0x40000000;
        for (const long nr : {386L, 388L, x32 | CLONE2_DEFAULT_NR, x32 | 388L}) {
            if (syscall(nr, nullptr, nullptr) != -1 || errno != ENOSYS) {
                return 2;
            }
        }
        close(listener); // now nothing can serve it
        return syscall(CLONE2_DEFAULT_NR, nullptr, nullptr) == -1 && errno == ENOSYS ? 0 : 3;
    });
    CHECK(WEXITSTATUS(child.wait()) == 0);
}

TEST_CASE("install_filter: no-new-privs is set only if needed, and reported")
{
    Child child([] {
        if (geteuid() == 0) {
            unsigned flags = 0;
            const pid_t privileged = fork();
            if (privileged == 0) {
                const bool good = clone2_install_filter(CLONE2_DEFAULT_NR, 0, &flags) >= 0;
                _exit(good && (flags & CLONE2_LISTENER_NO_NEW_PRIVS) == 0 &&
                              prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0
                          ? 0
                          : 1);
            }
            if (reap(privileged) != 0 || setresuid(nobody, nobody, nobody) != 0) {
                return 1;
            }
        }
        unsigned flags = 77;
        if (clone2_install_filter(CLONE2_DEFAULT_NR, CLONE2_FILTER_KEEP_PRIVS, &flags) != -EACCES ||
            flags != 77 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0) {
            return 2;
        }
        if (clone2_install_filter(CLONE2_DEFAULT_NR, 0, &flags) < 0) {
            return 3;
        }
        return (flags & CLONE2_LISTENER_NO_NEW_PRIVS) != 0 &&
                       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
                   ? 0
                   : 4;
    });
    CHECK(WEXITSTATUS(child.wait()) == 0);
}

TEST_CASE("send_fd and recv_fd: a descriptor and a number, through sockets of each type")
{
    for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
        CAPTURE(type);
        std::array<int, 2> sockets{};
        REQUIRE(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sockets.data()) == 0);
        const clone2::Fd one(sockets[0]);
        const clone2::Fd other(sockets[1]);
        const Pipe pipe = make_pipe();
        CHECK(clone2_send_fd(one.get(), pipe.write.get(), 0xdeadbeef) == 0);
        CHECK(clone2_send_fd(one.get(), pipe.write.get(), 5) == 0);
        std::uint32_t note = 0;
        const clone2::Fd received(clone2_recv_fd(other.get(), &note));
        REQUIRE(received);
        CHECK(note == 0xdeadbeef);
        CHECK((fcntl(received.get(), F_GETFD) & FD_CLOEXEC) != 0);
        CHECK(put_byte(received, 'q'));
        CHECK(get_byte(pipe.read) == 'q');
        const clone2::Fd second(clone2_recv_fd(other.get(), nullptr));
        CHECK(second);
    }
}

TEST_CASE("send_fd and recv_fd: errors")
{
    Child child([] {
        signal(SIGPIPE, SIG_DFL);
        std::array<int, 2> sockets{};
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0) {
            return 1;
        }
        std::uint32_t note = 77;
        // Without a descriptor; incomplete; empty.
        if (write(sockets[0], "abcd", 4) != 4 || clone2_recv_fd(sockets[1], &note) != -EBADMSG) {
            return 2;
        }
        if (clone2_send_fd(sockets[0], -1, 0) != -EBADF ||
            clone2_send_fd(-1, sockets[0], 0) != -EBADF || clone2_recv_fd(-1, &note) != -EBADF) {
            return 3;
        }
        close(sockets[1]);
        if (clone2_send_fd(sockets[0], 0, 0) != -EPIPE) {
            return 4;
        }
        if (clone2_recv_fd(sockets[0], &note) != -EPIPE) {
            return 5;
        }
        return note == 77 ? 0 : 6;
    });
    CHECK(WEXITSTATUS(child.wait()) == 0);
}
