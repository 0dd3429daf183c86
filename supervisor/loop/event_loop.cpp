// SPDX-License-Identifier: MIT
#include "loop/event_loop.hpp"

#include "base/fd.hpp"

#include <sys/epoll.h>

#include <cerrno>
#include <system_error>

namespace clone2
{

namespace
{

/// Asio would report a refused call under another name, or wait forever.
void probe_epoll()
{
    const auto fail = [](const char *call) {
        throw std::system_error(errno, std::generic_category(), call);
    };
    const Fd epoll{::epoll_create1(EPOLL_CLOEXEC)};
    if (!epoll) {
        fail("epoll_create1()");
    }
    epoll_event event{};
    // An epoll set can watch another.
    const Fd watched{::epoll_create1(EPOLL_CLOEXEC)};
    if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, watched.get(), &event) != 0) {
        fail("epoll_ctl()");
    }
    if (::epoll_wait(epoll.get(), &event, 1, 0) < 0) {
        fail("epoll_wait()");
    }
}

} // namespace

std::unique_ptr<EventLoop> make_event_loop(LoopChoice choice)
{
    switch (choice) {
    case LoopChoice::io_uring:
        probe_io_uring();
        return make_io_uring_loop();
    case LoopChoice::epoll:
    case LoopChoice::automatic:
        break;
    }
    probe_epoll();
    return make_epoll_loop();
}

} // namespace clone2
