// SPDX-License-Identifier: MIT
#include "loop/event_loop.hpp"

#include <system_error>

namespace clone2
{

std::unique_ptr<EventLoop> make_event_loop(LoopChoice choice)
{
    switch (choice) {
    case LoopChoice::io_uring:
        return make_io_uring_loop();
    case LoopChoice::epoll:
        return make_epoll_loop();
    case LoopChoice::automatic:
        break;
    }
    try {
        return make_io_uring_loop();
    } catch (const std::system_error &) {
        return make_epoll_loop();
    }
}

} // namespace clone2
