// SPDX-License-Identifier: MIT
//
// Runs between fork() and exec() of multi-threaded programs: no allocation, locks or exceptions.
#include "listener/filter.hpp"
#include "listener/seccomp_filter.h"

#include <clone2/target.h>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

using namespace clone2;

namespace
{

constexpr int last_nr = 0x3fffffff; // above: x32

} // namespace

int clone2_install_filter(int nr, unsigned flags, unsigned *listener_flags)
{
    constexpr unsigned known = CLONE2_FILTER_NOT_WAIT_KILLABLE | CLONE2_FILTER_KEEP_PRIVS;
    if (nr < 0 || nr > last_nr || (flags & ~known) != 0) {
        return -EINVAL;
    }
    std::array<sock_filter, FILTER_NOTIFY_STEPS + 1> steps{};
    sock_fprog program{0, steps.data()};
    filter_notify(&program, NATIVE_AUDIT_ARCH, nr);
    filter_answer(&program, SECCOMP_RET_ALLOW);
    const InstalledFilter installed =
        install_filter(steps, (flags & CLONE2_FILTER_NOT_WAIT_KILLABLE) == 0,
                       (flags & CLONE2_FILTER_KEEP_PRIVS) == 0);
    if (installed.listener >= 0 && listener_flags != nullptr) {
        *listener_flags = installed.wait_killable ? CLONE2_LISTENER_WAIT_KILLABLE
                                                  : CLONE2_LISTENER_NOT_WAIT_KILLABLE;
        if (installed.no_new_privs) {
            *listener_flags |= CLONE2_LISTENER_NO_NEW_PRIVS;
        }
    }
    return installed.listener;
}

int clone2_send_fd(int socket, int fd, uint32_t note)
{
    iovec data{&note, sizeof note};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof fd)> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr *const rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    for (;;) {
        const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
        if (sent >= 0) {
            return sent == sizeof note ? 0 : -EMSGSIZE;
        }
        if (errno != EINTR) {
            return -errno;
        }
    }
}

int clone2_recv_fd(int socket, uint32_t *note)
{
    std::uint32_t received_note = 0;
    iovec data{&received_note, sizeof received_note};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = CMSG_LEN(sizeof(int)); // CMSG_SPACE has room for two
    ssize_t received = 0;
    // ECONNRESET comes once, before the sent data, if the sender ended with unread input.
    for (bool reset = false;;) {
        received = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL);
        if (received >= 0) {
            break;
        }
        if (errno != EINTR && (errno != ECONNRESET || reset)) {
            return -errno;
        }
        reset = errno == ECONNRESET;
    }
    if (received == 0) {
        return -EPIPE;
    }
    int fd = -EBADMSG;
    const cmsghdr *const rights = CMSG_FIRSTHDR(&message);
    if (rights != nullptr && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS &&
        rights->cmsg_len == CMSG_LEN(sizeof fd)) {
        std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
    }
    if (fd >= 0 && received != sizeof received_note) {
        ::close(fd);
        return -EBADMSG;
    }
    if (fd >= 0 && note != nullptr) {
        *note = received_note;
    }
    return fd;
}
