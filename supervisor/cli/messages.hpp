// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "base/result.hpp"
#include "cli/signals.hpp"

#include <optional>
#include <span>

/// What the processes of one wrapper send each other. All sockets are SOCK_SEQPACKET: a message
/// comes whole or not at all, and the end of the other process is an end of file.

namespace clone2::cli
{

struct SocketPair {
    Fd one;
    Fd other;
};
/// Throws std::system_error.
[[nodiscard]] SocketPair make_socket_pair();

/// One end of what the reaper and the command tell each other.
struct ReaperLink {
    Fd messages; ///< ProgramStatus one way, ForwardedSignal the other
    /// The reaper rings, after the message, when PROGRAM goes on or has ended. The reaper's own end
    /// rings, too.
    Fd bell;
};

/// From the reaper to the command: PROGRAM stopped, still is (the answer), goes on, or ended; or
/// the reaper has got signals and asks for those that the command has got.
struct ProgramStatus {
    enum class Kind { stopped, still_stopped, continued, exited, killed, asked_for_signals };
    Kind kind = Kind::exited;
    int value = 0; ///< signal, exit status, which question is answered, or asked
    /// It has left no process behind: the serving process ends, too.
    bool alone = false;
};

/// From the command to the reaper: a signal for PROGRAM; or none, but the question whether the last
/// of `stops` lasts; or that all has been handed on which was there when the reaper asked.
struct ForwardedSignal {
    enum class Kind { signal, do_stops_last, no_more } kind = Kind::signal;
    SentSignal signal;
    int question = 0; ///< its number
    /// How many stops of PROGRAM the command had heard of. A SIGCONT is for these.
    unsigned stops = 0;
    bool goes_on = false; ///< it had heard that the last of these is over
};

/// From PROGRAM (before exec) to the serving process, with the listener as SCM_RIGHTS, or without
/// one where the kernel serves.
struct ListenerOffer {
    bool wait_killable = false;
    bool no_new_privs = false;
};

/// Sends one message, with a descriptor where `fd` >= 0. False: the other end is gone.
bool send_message(const Fd &socket, std::span<const std::byte> message, int fd = -1);
/// Receives one message of this size; nullopt: end of file, or something else came.
[[nodiscard]] std::optional<Fd> receive_message(const Fd &socket, std::span<std::byte> message);

template <typename T>
bool send_value(const Fd &socket, const T &value, int fd = -1)
{
    return send_message(socket, std::as_bytes(std::span<const T, 1>(&value, 1)), fd);
}
/// The descriptor sent along is dropped.
template <typename T>
std::optional<T> receive_value(const Fd &socket)
{
    T value{};
    if (!receive_message(socket, std::as_writable_bytes(std::span<T, 1>(&value, 1)))) {
        return std::nullopt;
    }
    return value;
}

} // namespace clone2::cli
