// SPDX-License-Identifier: MIT
#include "loop/event_loop.hpp"

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

} // namespace clone2
