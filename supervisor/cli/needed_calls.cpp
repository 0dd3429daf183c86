// SPDX-License-Identifier: MIT
#include "cli/needed_calls.hpp"

#include "base/fd.hpp"
#include "cli/in_child.hpp"
#include "cli/messages.hpp"
#include "filter/filter.hpp"
#include "listener/listener.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <linux/futex.h>
#include <memory>
#include <optional>
#include <system_error>

namespace clone2::cli
{

namespace
{

/// Keeps the first failure.
class Tries
{
public:
    /// `result`: what a call returned; `expected`: an errno that the kernel itself gives.
    void add(const char *call, long result, int expected = 0)
    {
        if (outcome_ && result < 0 && errno != expected) {
            outcome_ = last_error(call);
        }
    }
    [[nodiscard]] const Result<void> &outcome() const { return outcome_; }

private:
    Result<void> outcome_;
};

/// Tries messages through a socket, and operations on descriptors.
void try_descriptors(Tries &tries)
{
    std::array<int, 2> fds{-1, -1};
    tries.add("socketpair()", ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()));
    const Fd from{fds[0]};
    const Fd to{fds[1]};
    char byte = 0;
    iovec data{&byte, sizeof byte};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    tries.add("sendto()", ::send(from.get(), &byte, sizeof byte, flags));
    tries.add("sendmsg()", ::sendmsg(from.get(), &message, flags));
    tries.add("recvmsg()", ::recvmsg(to.get(), &message, flags));
    tries.add("fcntl()", ::fcntl(to.get(), F_GETFD));
    tries.add("dup2()", ::dup2(to.get(), to.get()));
    // Asio wakes a thread in epoll_wait() by this.
    const Fd event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (event) {
        tries.add("write()", ::eventfd_write(event.get(), 1));
    }
}

void try_signals(Tries &tries)
{
    sigset_t none;
    sigemptyset(&none);
    tries.add("sigprocmask()", ::sigprocmask(SIG_BLOCK, &none, nullptr));
    const Fd signals{::signalfd(-1, &none, SFD_CLOEXEC)};
    tries.add("signalfd()", signals.get());
}

/// Tries what the C library uses to create a thread: clone3, and clone only if that is ENOSYS.
void try_threads(Tries &tries)
{
    const long result = ::syscall(SYS_clone3, nullptr, 0);
    if (errno != ENOSYS) {
        tries.add("clone3()", result, EINVAL); // the size is too small
    }
    std::uint32_t word = 0;
    tries.add("futex()", ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0));
}

/// Tries waits that return at once; waits for a child wait for ourselves, which fails.
void try_waiting(Tries &tries)
{
    const pid_t self = ::getpid();
    errno = -self; // glibc has no error return for it
    tries.add("getpid()", self);
    tries.add("wait4()", ::waitpid(self, nullptr, WNOHANG), ECHILD);
    siginfo_t info{};
    tries.add("waitid()", ::waitid(P_PID, static_cast<id_t>(self), &info, WEXITED | WNOHANG),
              ECHILD);
    tries.add("poll()", ::poll(nullptr, 0, 0));
    // Asio works without a timerfd, but not without this call on one.
    const Fd timer{::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)};
    const itimerspec never{};
    if (timer) {
        tries.add("timerfd_settime()", ::timerfd_settime(timer.get(), 0, &never, nullptr));
    }
    std::uint32_t word = 0;
    tries.add("getrandom()", ::getrandom(&word, sizeof word, GRND_NONBLOCK), EAGAIN);
}

/// Has so many children at once, each the parent of the next.
Result<void> try_processes(unsigned count)
{
    const Result<int> err = in_child<int>([count] {
        const Result<void> others = count > 1 ? try_processes(count - 1) : Result<void>();
        return others ? 0 : others.error().err;
    });
    if (!err) {
        return err.error();
    }
    return *err == 0 ? Result<void>() : Error{"fork()", 0, *err};
}

} // namespace

Result<void> try_needed_calls()
{
    Tries tries;
    try_descriptors(tries);
    try_signals(tries);
    try_threads(tries);
    try_waiting(tries);
    return tries.outcome();
}

Result<void> try_event_loop(LoopChoice choice)
{
    try {
        const std::unique_ptr<EventLoop> loop = make_event_loop(choice);
        loop->after(std::chrono::milliseconds(0), [] {});
        loop->run_one();
    } catch (const std::system_error &error) {
        return Error{"an event loop", 0, error.code().value()};
    }
    return {};
}

Result<void> try_resources()
{
    constexpr std::size_t descriptors = 13; // of the command: sockets and a signalfd
    constexpr unsigned processes = 3 + 4;   // threads count as processes
    std::array<Fd, descriptors> taken;
    for (Fd &fd : taken) {
        fd = Fd(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
        if (!fd) {
            return last_error("fcntl()");
        }
    }
    taken = {};
    return try_processes(processes);
}

ListenerProbe probe_listener(std::span<const sock_filter> filter)
{
    const Result<ListenerProbe> probe = in_child<ListenerProbe>([filter] {
        ListenerProbe seen;
        const Result<InstalledFilter> installed = install_filter(filter);
        if (!installed) {
            seen.failure = installed.error();
            return seen;
        }
        constexpr std::uint64_t sync_wake_up = 1;
        constexpr unsigned long set_flags = _IOW('!', 4, std::uint64_t);
        seen.wait_killable = installed->wait_killable;
        seen.no_new_privs = installed->no_new_privs;
        seen.sync_wake_up = ::ioctl(installed->listener, set_flags, sync_wake_up) == 0;
        try {
            const Listener listener(Fd(installed->listener), installed->wait_killable);
        } catch (const std::system_error &error) {
            seen.failure = {"ioctl() of a listener", 0, error.code().value()};
        }
        return seen;
    });
    if (probe) {
        return *probe;
    }
    ListenerProbe failed;
    failed.failure = probe.error();
    return failed;
}

} // namespace clone2::cli
