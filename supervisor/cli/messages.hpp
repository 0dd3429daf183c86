// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "base/result.hpp"
#include "cli/signals.hpp"

#include <deque>
#include <optional>
#include <span>

/// Messages between the processes of one wrapper. All sockets are SOCK_SEQPACKET: a message arrives
/// whole or not at all, and the end of the other process is end of file.

namespace clone2::cli
{

struct SocketPair {
    Fd one;
    Fd other;
};
/// Throws std::system_error.
[[nodiscard]] SocketPair make_socket_pair();

/// From the reaper to the command: PROGRAM stopped, is still stopped (an answer), continued, or
/// ended; or the reaper has received signals and asks for those that the command has received.
struct ProgramStatus {
    enum class Kind { stopped, still_stopped, continued, exited, killed, asked_for_signals };
    Kind kind = Kind::exited;
    int value = 0; ///< signal, exit status, or number of the question answered or asked
    /// No process was left behind, so the serving process ends, too.
    bool alone = false;
    bool dumped_core = false; ///< killed, and its core was dumped
};

/// From the command to the reaper: a signal for PROGRAM; a question whether the last of `stops`
/// still lasts; or the end of the signals that had arrived when the reaper asked.
struct ForwardedSignal {
    enum class Kind { signal, do_stops_last, no_more } kind = Kind::signal;
    SentSignal signal;
    int question = 0; ///< its number
    /// The number of stops of PROGRAM that the command knew of. A SIGCONT is for these.
    unsigned stops = 0;
    bool goes_on = false; ///< the command knew that the last of these was over
};

/// One end of the connection between reaper and command.
struct ReaperLink {
    Fd messages; ///< ProgramStatus in one direction, ForwardedSignal in the other
    /// The reaper rings it after its message when PROGRAM has continued or ended. It also rings
    /// when the reaper's end is closed.
    Fd bell;
    /// The reaper's end: messages that were received before there was a reaper.
    std::deque<ForwardedSignal> early;
};

/// From the serving process to PROGRAM (before exec), twice: before the filter is installed, and
/// when its listener is served.
enum class Service : char {
    ready,
    none,  ///< PROGRAM runs without it; a note says so
    failed ///< PROGRAM does not run; a message says why
};

/// From PROGRAM (before exec), when Service::ready has come, with the listener as SCM_RIGHTS.
struct ListenerOffer {
    bool wait_killable = false;
    bool no_new_privs = false;
    Error failure; ///< why there is none though there should be; err 0: no failure
};

/// Sends one message, with a descriptor if `fd` >= 0. False: the other end is gone.
bool send_message(const Fd &socket, std::span<const std::byte> message, int fd = -1);
/// Receives one message of this size; nullopt: end of file, or another message came.
/// `flags`: of recv(2).
[[nodiscard]] std::optional<Fd> receive_message(const Fd &socket, std::span<std::byte> message,
                                                int flags = 0);

template <typename T>
bool send_value(const Fd &socket, const T &value, int fd = -1)
{
    return send_message(socket, std::as_bytes(std::span<const T, 1>(&value, 1)), fd);
}
/// Drops a descriptor sent with it.
template <typename T>
std::optional<T> receive_value(const Fd &socket, int flags = 0)
{
    T value{};
    if (!receive_message(socket, std::as_writable_bytes(std::span<T, 1>(&value, 1)), flags)) {
        return std::nullopt;
    }
    return value;
}

} // namespace clone2::cli
