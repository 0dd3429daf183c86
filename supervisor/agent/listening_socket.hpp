// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"

#include <optional>
#include <string>
#include <sys/types.h>

namespace clone2::agent
{

/// The agent's unix socket in the file system. A file that a dead agent has left is replaced, a
/// living one's is not: whoever serves a path holds a lock on PATH.lock, so that two agents that
/// start at once can't take the place from each other.
class ListeningSocket
{
public:
    /// Makes it; the last directory of the path, too, where it is missing. `for_all`: mode 0666
    /// instead of 0600 (who connects is checked in any case). Throws std::system_error, whose
    /// text says what failed with the path.
    [[nodiscard]] static ListeningSocket bind(const std::string &path, bool for_all);
    /// One that the service manager made and removes.
    [[nodiscard]] static ListeningSocket passed(Fd socket);

    ListeningSocket(ListeningSocket &&other) noexcept = default;
    ListeningSocket &operator=(ListeningSocket &&) = delete;
    ListeningSocket(const ListeningSocket &) = delete;
    ListeningSocket &operator=(const ListeningSocket &) = delete;
    ~ListeningSocket() { close(); }

    [[nodiscard]] int fd() const { return socket_.get(); }
    /// Takes no further connection and removes what it has made.
    void close();

private:
    ListeningSocket(Fd socket, Fd lock, std::string path)
        : socket_(std::move(socket)), lock_(std::move(lock)), path_(std::move(path))
    {
    }

    Fd socket_;
    Fd lock_;
    std::string path_; ///< empty: not ours to remove
};

/// Whether it is a unix stream socket that listens.
[[nodiscard]] bool is_listening_socket(int fd);

/// Who connected, from the kernel (SO_PEERCRED). nullopt: a user that has no id here. In a user
/// namespace that does not map all users, the kernel gives the overflow uid (65534) for every
/// user that is not mapped, so that this number is nobody's there.
[[nodiscard]] std::optional<uid_t> peer_uid(int socket);

} // namespace clone2::agent
