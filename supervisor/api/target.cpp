// SPDX-License-Identifier: MIT
//
// Runs between fork() and exec() of multi-threaded programs: no allocation, locks or exceptions.
#include "abi/call_table.hpp"
#include "arch/architecture.hpp"
#include "base/fd_message.h"
#include "filter/filter.hpp"
#include "filter/seccomp_filter.h"

#include <clone2/target.h>

#include <unistd.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <span>

using namespace clone2;

namespace
{

constexpr std::size_t most_architectures = 4;

} // namespace

static_assert(CLONE2_DEFAULT_NR == standard_call.number);

int clone2_install_filter(int nr, unsigned flags, unsigned *listener_flags)
{
    constexpr unsigned known = CLONE2_FILTER_NOT_WAIT_KILLABLE | CLONE2_FILTER_KEEP_PRIVS;
    if (nr < 0 || nr > highest_number || (flags & ~known) != 0) {
        return -EINVAL;
    }
    std::array<sock_filter, most_architectures * FILTER_NOTIFY_STEPS + 1> steps{};
    sock_fprog program{0, steps.data()};
    // The standard number is free on each architecture; any other may be a system call there.
    const auto all = architectures();
    assert(all.size() <= most_architectures);
    for (const Architecture *const arch : all.first(nr == standard_call.number ? all.size() : 1)) {
        filter_notify(&program, arch->audit_arch(), nr, nullptr, 0);
    }
    filter_answer(&program, SECCOMP_RET_ALLOW);
    const Result<InstalledFilter> installed = install_filter(
        std::span(steps).first(program.len), (flags & CLONE2_FILTER_NOT_WAIT_KILLABLE) == 0,
        (flags & CLONE2_FILTER_KEEP_PRIVS) == 0);
    if (!installed) {
        return -installed.error().err;
    }
    if (listener_flags != nullptr) {
        *listener_flags = installed->wait_killable ? CLONE2_LISTENER_WAIT_KILLABLE
                                                   : CLONE2_LISTENER_NOT_WAIT_KILLABLE;
        if (installed->no_new_privs) {
            *listener_flags |= CLONE2_LISTENER_NO_NEW_PRIVS;
        }
    }
    return installed->listener;
}

int clone2_send_fd(int socket, int fd, uint32_t note)
{
    const long sent = send_with_fds(socket, &note, sizeof note, &fd, 1, 0);
    if (sent < 0) {
        return static_cast<int>(sent);
    }
    return sent == sizeof note ? 0 : -EMSGSIZE;
}

int clone2_recv_fd(int socket, uint32_t *note)
{
    std::uint32_t received_note = 0;
    int fd = -EBADMSG;
    const message_received received =
        receive_with_fds(socket, &received_note, sizeof received_note, &fd, 1, MSG_WAITALL);
    if (received.size < 0) {
        return static_cast<int>(received.size);
    }
    if (received.size == 0) {
        return -EPIPE;
    }
    if (fd >= 0 && received.size != sizeof received_note) {
        ::close(fd);
        return -EBADMSG;
    }
    if (fd >= 0 && note != nullptr) {
        *note = received_note;
    }
    return fd;
}
