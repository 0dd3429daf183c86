// SPDX-License-Identifier: MIT
#include "agent/connection.hpp"

#include "base/fd_message.h"
#include "base/printable.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

namespace clone2::agent
{

namespace
{

constexpr std::size_t piece_size = 16384;
constexpr unsigned pieces_per_turn = 8;
constexpr unsigned pieces_in_socket =
    64; // more than a socket's buffer holds, unless root enlarged it

struct Received {
    ssize_t size;
    std::vector<Fd> fds;
    bool truncated; ///< some descriptors were lost
};

Received receive(int socket, std::span<char> piece)
{
    std::array<int, FDS_RECEIVED_MAX> fds;
    const message_received got =
        receive_with_fds(socket, piece.data(), piece.size(), fds.data(), fds.size(), MSG_DONTWAIT);
    Received received{got.size, {}, (got.flags & MSG_CTRUNC) != 0};
    // Owned at once, so that none stays open whatever comes next.
    for (std::size_t i = 0; i < got.fd_count; ++i) {
        received.fds.emplace_back(fds[i]);
    }
    return received;
}

enum class Thrown { away, nothing_there, ended, has_fds };

/// Discards a piece of data, but never descriptors.
Thrown throw_away(int socket)
{
    std::array<char, piece_size> piece;
    // MSG_PEEK stops at the first descriptors; without a control buffer it only flags them.
    const message_received seen =
        receive_with_fds(socket, piece.data(), piece.size(), nullptr, 0, MSG_DONTWAIT | MSG_PEEK);
    if (seen.size < 0) {
        return seen.size == -EAGAIN ? Thrown::nothing_there : Thrown::ended;
    }
    if ((seen.flags & MSG_CTRUNC) != 0) {
        return Thrown::has_fds;
    }
    if (seen.size == 0) {
        return Thrown::ended;
    }
    (void)::recv(socket, piece.data(), static_cast<std::size_t>(seen.size), MSG_DONTWAIT);
    return Thrown::away;
}

} // namespace

bool empty_for_good(int socket)
{
    (void)::shutdown(socket, SHUT_RDWR); // nothing more can arrive
    for (unsigned i = 0; i < pieces_in_socket; ++i) {
        const Thrown thrown = throw_away(socket);
        if (thrown != Thrown::away) {
            return thrown != Thrown::has_fds;
        }
    }
    return false;
}

Connection::Progress Connection::fail(const std::string &why)
{
    why_ = why;
    return Progress::failed;
}

Connection::Progress Connection::read_once(bool &again)
{
    again = false;
    std::array<char, piece_size> piece;
    auto [n, fds, truncated] = receive(socket_.get(), piece);
    if (n < 0) {
        return n == -EAGAIN ? Progress::more : fail(std::strerror(static_cast<int>(-n)));
    }
    const bool first = std::exchange(first_, false);
    if (!fds.empty()) {
        const bool allowed = fds_.empty() && first;
        // Kept in any case: closing a descriptor that a peer made may block (see Disposal).
        for (Fd &fd : fds) {
            fds_.push_back(std::move(fd));
        }
        if (!allowed) {
            return fail("descriptors came after the beginning of its message");
        }
    }
    if (truncated) {
        return fail("not all descriptors could be received (open file limit?)");
    }
    if (fds_.size() > max_fds) {
        return fail(std::to_string(fds_.size()) + " descriptors; at most " +
                    std::to_string(max_fds) + " are accepted");
    }
    if (n == 0) {
        return fail(text_.empty() ? "" : "it ended in the middle of its message");
    }
    const std::string_view received(piece.data(), static_cast<std::size_t>(n));
    if (text_.size() + received.size() > max_message) {
        return fail("its message is longer than " + std::to_string(max_message) + " bytes");
    }
    text_ += received;
    switch (end_.feed(received)) {
    case DocumentEnd::State::ended:
        return Progress::message;
    case DocumentEnd::State::not_object:
        return fail("its message is not a JSON object");
    case DocumentEnd::State::too_deep:
        return fail("its message is nested too deeply");
    case DocumentEnd::State::more:
        break;
    }
    again = true;
    return Progress::more;
}

Connection::Progress Connection::read()
{
    Progress progress = Progress::more;
    bool again = true;
    for (unsigned i = 0; i < pieces_per_turn && again; ++i) {
        progress = read_once(again);
    }
    return progress;
}

bool Connection::drain()
{
    for (unsigned i = 0; i < pieces_per_turn; ++i) {
        const Thrown thrown = throw_away(socket_.get());
        if (thrown != Thrown::away) {
            return thrown == Thrown::nothing_there;
        }
    }
    return true;
}

void send_line(int socket, const std::string &line)
{
    const std::string text = printable(line, "") + "\n";
    (void)::send(socket, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

} // namespace clone2::agent
