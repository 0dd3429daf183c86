// SPDX-License-Identifier: MIT
#pragma once

#include "agent/document_end.hpp"
#include "agent/process_state.hpp"
#include "base/fd.hpp"

#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace clone2::agent
{

/// Sends one line to a peer if its socket has room.
void send_line(int socket, const std::string &line);

/// Shuts down a connection and discards the data in it. False: it contains descriptors. Closing the
/// socket would close them, which may block for any time; receiving only the data before them
/// would, too.
[[nodiscard]] bool empty_for_good(int socket);

/// Reads the message of one connection without blocking. Used by one thread at a time.
class Connection
{
public:
    Connection(Fd socket, uid_t uid) : socket_(std::move(socket)), uid_(uid) {}

    enum class Progress {
        more,    ///< wait until there is more to read
        message, ///< the message is complete
        failed   ///< see why()
    };
    /// Reads what is available, within limits, so that others get their turn.
    Progress read();
    /// After a message: reads and discards. False: the peer has closed its side or sends
    /// descriptors.
    bool drain();

    [[nodiscard]] int fd() const { return socket_.get(); }
    [[nodiscard]] uid_t uid() const { return uid_; }
    [[nodiscard]] const std::string &text() const { return text_; }
    [[nodiscard]] std::string take_text() { return std::exchange(text_, {}); }
    /// One clause; empty: the peer left without sending anything.
    [[nodiscard]] const std::string &why() const { return why_; }
    /// The descriptors received, in order.
    [[nodiscard]] std::vector<Fd> take_fds() { return std::exchange(fds_, {}); }
    [[nodiscard]] std::size_t fd_count() const { return fds_.size(); }
    [[nodiscard]] Fd take_socket() { return std::move(socket_); }
    void answer(const std::string &line) const { send_line(socket_.get(), line); }

private:
    Progress fail(const std::string &why);
    Progress read_once(bool &again);

    Fd socket_;
    uid_t uid_;
    DocumentEnd end_;
    std::string text_;
    std::vector<Fd> fds_;
    std::string why_;
    bool first_ = true; ///< nothing has been received yet
};

} // namespace clone2::agent
