// SPDX-License-Identifier: MIT
// In place of io_uring_probe.cpp and the loop itself, with -Dio_uring=disabled.
#include "loop/event_loop.hpp"

#include <cerrno>
#include <system_error>

namespace clone2
{
namespace
{

[[noreturn]] void fail()
{
    throw std::system_error(ENOSYS, std::generic_category(), "built without io_uring");
}

} // namespace

void probe_io_uring()
{
    fail();
}

std::unique_ptr<EventLoop> make_io_uring_loop()
{
    fail();
}

} // namespace clone2
