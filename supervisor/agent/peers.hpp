// SPDX-License-Identifier: MIT
#pragma once

#include "agent/connection.hpp"
#include "agent/disposal.hpp"
#include "agent/ledger.hpp"
#include "agent/listeners.hpp"
#include "agent/listening_socket.hpp"
#include "loop/event_loop.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace clone2::agent
{

/// The connections of the agent's socket, from accept() until Listeners has what their messages
/// brought. No peer can use up the others' time or room.
///
/// All of it runs in handlers of the event loop, one at a time: only one thread is in the loop at
/// any moment (see Scheduler). It must outlive the scheduler's run().
class Peers
{
public:
    /// `allowed`: peers besides root and our own uid.
    Peers(EventLoop &loop, Diagnostics &diagnostics, std::set<uid_t> allowed,
          std::shared_ptr<Ledger> ledger, Disposal &disposal, Listeners &listeners,
          ListeningSocket socket);
    Peers(const Peers &) = delete;
    Peers &operator=(const Peers &) = delete;
    ~Peers() = default;

    /// Starts to accept connections.
    void start();
    /// Accepts no further connections and closes those that are not finished.
    void stop();

private:
    struct Peer {
        Peer(EventLoop &loop, Fd socket, uid_t uid, Ledger &ledger)
            : connection(std::move(socket), uid), watch(loop.watch(connection.fd())),
              descriptors(ledger.hold(Resource::descriptors, uid, 1)),
              memory(ledger.hold(Resource::memory, uid, 0))
        {
        }
        Connection connection;
        std::unique_ptr<EventLoop::Watch> watch;
        /// The state of the conversation; `since` is when it began.
        enum class Phase {
            silent,   ///< connected
            speaking, ///< has sent something
            taken     ///< its listener is served
        } phase = Phase::silent;
        std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
        Charge descriptors;
        Charge memory;
        const char *ended = nullptr; ///< why we shut it down
    };

    bool accept_one();
    void accept_some();
    void accept_later();
    void admit(Fd socket, uid_t uid);
    void enter(Peer &peer, Peer::Phase phase);
    void sweep();
    void shut_down(Peer &peer, const char *why);
    [[nodiscard]] bool make_room(uid_t uid);
    void wait_for_more(std::uint64_t id);
    void on_readable(std::uint64_t id);
    void drop(std::uint64_t id, const std::string &why);
    void handle_messages();
    void take_message(std::uint64_t id, Peer &peer);

    EventLoop &loop_;
    Diagnostics &diagnostics_;
    const std::set<uid_t> allowed_;
    std::shared_ptr<Ledger> ledger_;
    Disposal &disposal_;
    Listeners &listeners_;
    ListeningSocket socket_;
    std::unique_ptr<EventLoop::Watch> watch_;
    std::map<std::uint64_t, std::unique_ptr<Peer>> peers_; ///< in order of arrival
    std::map<uid_t, std::size_t> open_peers_; ///< by user, without those we have shut down
    /// Peers with a complete message, by user: users take turns.
    std::map<uid_t, std::deque<std::uint64_t>> complete_;
    uid_t last_turn_ = 0;
    std::uint64_t next_peer_ = 0;
    bool sweeping_ = false; ///< a sweep is scheduled
    bool handling_ = false; ///< handle_messages() is scheduled
    bool crowded_ = false;  ///< a connection was shut down to make room
    bool stopped_ = false;
};

} // namespace clone2::agent
