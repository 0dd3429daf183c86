// SPDX-License-Identifier: MIT
//
// embed_cpp PROGRAM [ARGUMENT...]: runs PROGRAM with clone2(), served from this program's own
// Boost.Asio io_context. The io_context has other work, too: a timer that prints the number of
// calls, and SIGTERM and SIGINT, which are forwarded to PROGRAM. A policy refuses children in new
// user namespaces.
//
//   c++ -std=c++17 embed.cpp $(pkg-config --cflags --libs clone2supervise) -o embed_cpp
#include <clone2/supervise_asio.hpp>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <optional>
#include <sched.h>

namespace asio = boost::asio;

namespace
{

[[noreturn]] void fail(const char *what, int err)
{
    throw std::system_error(err, std::generic_category(), what);
}

/// Runs between fork() and exec(). This process has one thread. In a multi-threaded process only
/// async-signal-safe functions, such as those of clone2/target.h, are allowed here: no perror().
[[noreturn]] void become(char **program, int socket)
{
    unsigned listener_flags = 0;
    const int listener = clone2_install_filter(CLONE2_DEFAULT_NR, 0, &listener_flags);
    if (listener >= 0 && clone2_send_fd(socket, listener, listener_flags) == 0) {
        execvp(program[0], program);
    }
    perror(program[0]);
    _exit(127);
}

struct Started {
    pid_t pid;
    int listener; ///< < 0: the child could not install the filter
    std::uint32_t listener_flags;
};

Started start(char **program)
{
    std::array<int, 2> sockets{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets.data()) != 0) {
        fail("socketpair", errno);
    }
    Started started{fork(), -1, 0};
    if (started.pid < 0) {
        fail("fork", errno);
    }
    if (started.pid == 0) {
        become(program, sockets[1]);
    }
    close(sockets[1]);
    started.listener = clone2_recv_fd(sockets[0], &started.listener_flags);
    close(sockets[0]);
    return started;
}

int run(char **program)
{
    using namespace std::chrono_literals;
    asio::io_context context;
    // All callbacks run on this thread, in dispatch(), so no lock is needed.
    unsigned calls = 0;
    clone2::SupervisorCallbacks callbacks;
    callbacks.event = [&](const clone2_event &event) {
        ++calls;
        if (event.result < 0) {
            std::fprintf(stderr, "embed_cpp: clone2 of %d: %s (%s)\n",
                         static_cast<int>(event.request->tid),
                         std::strerror(static_cast<int>(-event.result)), event.reason);
        }
    };
    callbacks.policy = [](const clone2_request &request) -> std::optional<clone2::PolicyRefusal> {
        if ((request.flags & CLONE_NEWUSER) != 0) {
            return clone2::PolicyRefusal{EPERM, "no new user namespaces here"};
        }
        return std::nullopt;
    };
    clone2::Supervisor supervisor(std::move(callbacks));

    const Started started = start(program);
    std::error_code error;
    if (started.listener >= 0) {
        supervisor.add_listener(started.listener, nullptr, started.listener_flags, error);
        if (error) {
            fail("add_listener", error.value());
        }
    }
    clone2::AsioDispatcher dispatcher(context, supervisor);

    asio::steady_timer timer(context);
    std::function<void()> tick = [&] {
        timer.expires_after(1s);
        timer.async_wait([&](const boost::system::error_code &cancelled) {
            if (!cancelled) {
                std::fprintf(stderr, "embed_cpp: %u calls so far\n", calls);
                tick();
            }
        });
    };
    tick();

    // PROGRAM must end first: without this program it would lose clone2.
    asio::signal_set signals(context, SIGTERM, SIGINT);
    signals.async_wait([&](const boost::system::error_code &cancelled, int /*signal*/) {
        if (!cancelled) {
            kill(started.pid, SIGTERM);
        }
    });

    // The pidfd is readable when the child has ended. SIGCHLD would also come for stops, because
    // each call stops its caller briefly.
    int status = 0;
    asio::posix::stream_descriptor child(context,
                                         static_cast<int>(syscall(SYS_pidfd_open, started.pid, 0)));
    child.async_wait(asio::posix::stream_descriptor::wait_read,
                     [&](const boost::system::error_code & /*error*/) {
                         waitpid(started.pid, &status, 0);
                         context.stop();
                     });
    context.run();
    std::fprintf(stderr, "embed_cpp: %u calls\n", calls);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc < 2) {
        std::fputs("usage: embed_cpp PROGRAM [ARGUMENT...]\n", stderr);
        return 2;
    }
    try {
        return run(argv + 1);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "embed_cpp: %s\n", error.what());
        return 125;
    }
}
