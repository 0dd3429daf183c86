// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace clone2::agent
{

/// A descriptor passed at start-up, and its name.
struct PassedFd {
    Fd fd;
    std::string name;
};

/// The contents of $LISTEN_PID, $LISTEN_FDS and $LISTEN_FDNAMES (sd_listen_fds(3)): the number of
/// descriptors from 3 on, and their names. 0: none, or they are for another process. Pure.
struct PassedNames {
    int count = 0;
    std::vector<std::string> names; ///< `count` of them; "unknown" if not given
};
[[nodiscard]] PassedNames decode_passed(pid_t self, const char *pid, const char *count,
                                        const char *names);

/// Takes ownership of the descriptors. Call once, at start-up.
[[nodiscard]] std::vector<PassedFd> take_passed_fds();

/// Talks to systemd or anything with the same protocol: sd_notify(3), sd_pid_notify_with_fds(3).
/// Does nothing without $NOTIFY_SOCKET. Messages are datagrams; one that can't be sent is dropped,
/// because waiting would not help.
class Systemd
{
public:
    /// Reads $NOTIFY_SOCKET.
    Systemd();

    [[nodiscard]] bool there() const { return static_cast<bool>(socket_); }
    /// Sends "READY=1" and so on. False: not sent.
    bool notify(const std::string &state, std::span<const int> fds = {}) const;

private:
    Fd socket_;
    std::string address_; ///< a path, or an abstract name with a leading '@'
};

} // namespace clone2::agent
