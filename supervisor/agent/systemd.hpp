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

/// A descriptor that was there at the start, and what it was called.
struct PassedFd {
    Fd fd;
    std::string name;
};

/// What $LISTEN_PID, $LISTEN_FDS and $LISTEN_FDNAMES say (sd_listen_fds(3)): the number of
/// descriptors from 3 on, and their names. 0: none, or they are meant for another process. Pure.
struct PassedNames {
    int count = 0;
    std::vector<std::string> names; ///< `count` of them, "unknown" where none is given
};
[[nodiscard]] PassedNames decode_passed(pid_t self, const char *pid, const char *count,
                                        const char *names);

/// Takes the descriptors over, once, at the start.
[[nodiscard]] std::vector<PassedFd> take_passed_fds();

/// systemd, or whoever speaks its protocol: sd_notify(3), sd_pid_notify_with_fds(3). Without
/// $NOTIFY_SOCKET nothing is sent. Messages are datagrams; one that can't be sent is lost, as
/// nobody would be helped by waiting.
class Systemd
{
public:
    /// From $NOTIFY_SOCKET.
    Systemd();

    [[nodiscard]] bool there() const { return static_cast<bool>(socket_); }
    /// "READY=1" and so on. False: not sent.
    bool notify(const std::string &state, std::span<const int> fds = {}) const;

private:
    Fd socket_;
    std::string address_; ///< a path, or with a leading '@' an abstract name
};

} // namespace clone2::agent
