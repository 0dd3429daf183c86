// SPDX-License-Identifier: MIT
#pragma once

#include "agent/connection.hpp"
#include "agent/disposal.hpp"
#include "agent/ledger.hpp"
#include "agent/listening_socket.hpp"
#include "agent/peer_listener.hpp"
#include "agent/systemd.hpp"
#include "calls/scheduler.hpp"
#include "loop/event_loop.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace clone2::agent
{

/// Takes listeners from the peers of a socket and has a Scheduler serve them.
///
/// Everything except its PeerListeners runs in handlers of the event loop, one at a time: only one
/// thread is in the loop at any moment (see Scheduler). The Agent must outlive the scheduler's
/// run().
class Agent
{
public:
    struct Config {
        int nr;                    ///< clone2's number for listeners from OCI runtimes
        std::set<uid_t> allowed;   ///< allowed peers besides root and our own uid
        std::string policy_path;   ///< empty: none
        bool results_known = true; ///< false: the kernel makes the calls
        Ledger::Totals totals;     ///< limits for all peers together
    };
    /// Throws std::runtime_error if the policy can't be read.
    Agent(EventLoop &loop, Scheduler &scheduler, Diagnostics &diagnostics, AuditSink &audit,
          std::shared_ptr<const Procfs> procfs, Config config, ListeningSocket socket);
    Agent(const Agent &) = delete;
    Agent &operator=(const Agent &) = delete;
    ~Agent() = default;

    /// Takes over the descriptors that the service manager kept for an earlier agent.
    void restore(std::vector<PassedFd> kept);
    /// Starts to accept connections and notifies the service manager.
    void start();
    /// If the file is broken, warns and keeps the current policy.
    void reload_policy();
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
    /// In order of arrival.
    using Peers = std::map<std::uint64_t, std::unique_ptr<Peer>>;

    void wait_for_peers();
    void accept_some();
    bool accept_one();
    void admit(Fd socket, uid_t uid);
    void enter(Peer &peer, Peer::Phase phase);
    void sweep();
    void shut_down(Peer &peer, const char *why);
    [[nodiscard]] bool make_room(uid_t uid);
    void wait_for_more(std::uint64_t id);
    void on_readable(std::uint64_t id);
    void drop(std::uint64_t id, const std::string &why);
    void discard(uid_t uid, Waste waste);
    void handle_messages();
    void take_message(std::uint64_t id, Peer &peer);
    [[nodiscard]] std::string take_listener(const Connection &connection, std::vector<Fd> fds,
                                            ProcessState state);
    [[nodiscard]] std::string serve_listener(Fd listener, Subject subject);
    [[nodiscard]] std::shared_ptr<PeerListener> make_peer_listener(Subject subject, int listener,
                                                                   std::optional<ListenerNote> note,
                                                                   const std::string &stored_as);
    void restore_one(const std::string &name, std::vector<Fd> fds);
    [[nodiscard]] std::string load_policy();

    EventLoop &loop_;
    Scheduler &scheduler_;
    Diagnostics &diagnostics_;
    Config config_;
    PolicyHolder policy_;
    PeerListener::Shared shared_;
    Systemd systemd_;
    std::shared_ptr<Ledger> ledger_;
    Disposal disposal_;
    ListeningSocket socket_;
    std::unique_ptr<EventLoop::Watch> watch_;
    Peers peers_;
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
