// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"

#include <optional>
#include <string>
#include <sys/types.h>

namespace clone2::agent
{

/// The agent's unix socket in the file system. Replaces a file left by a dead agent, never one of a
/// living agent. A living agent holds a lock on PATH.lock, so two agents that start at once can't
/// take the path from each other.
class ListeningSocket
{
public:
    /// Creates it, and the last directory of the path if it is missing. `for_all`: mode 0666
    /// instead of 0600 (peers are checked in any case). Throws std::system_error whose text names
    /// the failed operation and the path.
    [[nodiscard]] static ListeningSocket bind(const std::string &path, bool for_all);
    /// Uses one that the service manager created and removes.
    [[nodiscard]] static ListeningSocket passed(Fd socket);

    ListeningSocket(ListeningSocket &&other) noexcept = default;
    ListeningSocket &operator=(ListeningSocket &&) = delete;
    ListeningSocket(const ListeningSocket &) = delete;
    ListeningSocket &operator=(const ListeningSocket &) = delete;
    ~ListeningSocket() { close(); }

    [[nodiscard]] int fd() const { return socket_.get(); }
    /// Stops accepting and removes the files it has created.
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

/// Whether this is a listening unix stream socket.
[[nodiscard]] bool is_listening_socket(int fd);

/// The peer's uid, from the kernel (SO_PEERCRED). nullopt: the peer's user is not mapped here. In a
/// user namespace that does not map all users, the kernel reports every unmapped user as the
/// overflow uid (65534), so there that uid identifies nobody.
[[nodiscard]] std::optional<uid_t> peer_uid(int socket);

/// The pid, here, of the process that connected, which may have ended since. 0: it has none here.
[[nodiscard]] pid_t peer_pid(int socket);

} // namespace clone2::agent
