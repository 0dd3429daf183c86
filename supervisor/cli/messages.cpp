// SPDX-License-Identifier: MIT
#include "cli/messages.hpp"

#include "base/fd_message.h"

#include <array>
#include <cerrno>
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
    return send_with_fds(socket.get(), message.data(), message.size(), &fd, fd >= 0 ? 1 : 0, 0) ==
           static_cast<long>(message.size());
}

std::optional<Fd> receive_message(const Fd &socket, std::span<std::byte> message, int flags)
{
    int fd = -1;
    const message_received received =
        receive_with_fds(socket.get(), message.data(), message.size(), &fd, 1, flags);
    Fd owned(fd);
    if (received.size != static_cast<ssize_t>(message.size())) {
        return std::nullopt;
    }
    return owned;
}

} // namespace clone2::cli
