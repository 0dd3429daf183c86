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

/// One line for a peer, if it takes it at once.
void send_line(int socket, const std::string &line);

/// Ends a connection for both sides and throws away what has come in. False: there are descriptors
/// in it, which receive_rest() takes. Closed with them in it, it closes them, and that may take
/// any time; so does receiving data and not the descriptors that came with it.
[[nodiscard]] bool empty_for_good(int socket);
/// Descriptors that are in a connection still, some at a time; none: there are none left.
[[nodiscard]] std::vector<Fd> receive_rest(int socket);

/// What has come in on one connection. Reads without ever waiting; used by one thread at a time.
class Connection
{
public:
    Connection(Fd socket, uid_t uid) : socket_(std::move(socket)), uid_(uid) {}

    enum class Progress {
        more,    ///< wait until there is more to read
        message, ///< a whole message is there
        failed   ///< see why()
    };
    /// Reads what there is, within limits, so that others get their turn.
    Progress read();
    /// After a message: reads on and throws away. False: the peer has ended, or sends descriptors.
    bool drain();

    [[nodiscard]] int fd() const { return socket_.get(); }
    [[nodiscard]] uid_t uid() const { return uid_; }
    [[nodiscard]] const std::string &text() const { return text_; }
    [[nodiscard]] std::string take_text() { return std::exchange(text_, {}); }
    /// One clause; empty: the peer went without a word.
    [[nodiscard]] const std::string &why() const { return why_; }
    /// The descriptors that came, in their order.
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
    bool first_ = true; ///< nothing was received so far
};

} // namespace clone2::agent
