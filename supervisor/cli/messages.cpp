// SPDX-License-Identifier: MIT
#include "cli/messages.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace clone2::cli
{

SocketPair make_socket_pair()
{
    std::array<int, 2> fds{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0) {
        throw std::system_error(errno, std::generic_category(), "socketpair()");
    }
    return {Fd(fds[0]), Fd(fds[1])};
}

bool send_message(const Fd &socket, std::span<const std::byte> message, int fd)
{
    iovec data{const_cast<std::byte *>(message.data()), message.size()};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
    if (fd >= 0) {
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        cmsghdr *const rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    }
    ssize_t n = 0;
    do {
        n = ::sendmsg(socket.get(), &header, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n == static_cast<ssize_t>(message.size());
}

std::optional<Fd> receive_message(const Fd &socket, std::span<std::byte> message)
{
    iovec data{message.data(), message.size()};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    ssize_t n = 0;
    do {
        n = ::recvmsg(socket.get(), &header, MSG_CMSG_CLOEXEC);
        // ECONNRESET comes once, before what the other end had sent, if that ended without
        // having read all of ours.
    } while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    Fd fd;
    if (n >= 0) {
        const cmsghdr *const rights = CMSG_FIRSTHDR(&header);
        if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS &&
            rights->cmsg_len == CMSG_LEN(sizeof(int))) {
            int received = -1;
            std::memcpy(&received, CMSG_DATA(rights), sizeof received);
            fd = Fd(received);
        }
    }
    if (n != static_cast<ssize_t>(message.size())) {
        return std::nullopt;
    }
    return fd;
}

} // namespace clone2::cli
