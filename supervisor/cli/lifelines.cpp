// SPDX-License-Identifier: MIT
#include "cli/lifelines.hpp"

#include "base/procfs.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>

namespace clone2::cli
{

namespace
{

Fd open_pidfd(pid_t process)
{
    Fd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, process, 0))};
    if (!pidfd) {
        throw std::runtime_error("--die-with-parent: pidfd_open(): " +
                                 std::string(std::strerror(errno)));
    }
    return pidfd;
}

} // namespace

Lifelines Lifelines::of_this_process()
{
    const pid_t parent = ::getppid();
    if (parent == 0) {
        throw std::runtime_error("--die-with-parent: the parent is outside this pid namespace");
    }
    Lifelines lifelines;
    lifelines.parent_ = open_pidfd(parent);
    lifelines.command_ = open_pidfd(::getpid());
    // Had it died before pidfd_open(), another process could have its pid now.
    if (::getppid() != parent) {
        throw std::runtime_error("--die-with-parent: the parent has died");
    }
    return lifelines;
}

std::array<pollfd, 2> Lifelines::polled() const
{
    return {{{parent_.get(), POLLIN, 0}, {command_.get(), POLLIN, 0}}};
}

bool Lifelines::cut() const
{
    std::array<pollfd, 2> look = polled();
    return ::poll(look.data(), look.size(), 0) > 0;
}

void kill_children(pid_t program)
{
    if (::getpid() == 1) {
        ::kill(-1, SIGKILL);
        return;
    }
    if (program > 0) {
        ::kill(program, SIGKILL);
    }
    if (!proc_shows_own_pids()) {
        return;
    }
    std::ifstream children("/proc/thread-self/children");
    for (pid_t child = 0; children >> child;) {
        ::kill(child, SIGKILL);
    }
}

} // namespace clone2::cli
