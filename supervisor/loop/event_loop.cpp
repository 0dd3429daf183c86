// SPDX-License-Identifier: MIT
#include "loop/event_loop.hpp"

#include "base/fd.hpp"

#include <sys/epoll.h>

#include <cerrno>
#include <liburing.h>
#include <system_error>

namespace clone2
{

void probe_io_uring()
{
    io_uring ring{};
    if (const int r = ::io_uring_queue_init(1, &ring, 0); r != 0) {
        throw std::system_error(-r, std::generic_category(), "io_uring_queue_init()");
    }
    ::io_uring_prep_nop(::io_uring_get_sqe(&ring));
    const int submitted = ::io_uring_submit_and_wait(&ring, 1);
    ::io_uring_queue_exit(&ring);
    if (submitted < 0) {
        throw std::system_error(-submitted, std::generic_category(), "io_uring_enter()");
    }
}

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
