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
/// All of it but the owners it makes runs in handlers of the event loop, one at a time: only one
/// thread is in the loop at any moment (see Scheduler). It must outlive the scheduler's run().
class Agent
{
public:
    struct Config {
        int nr;                    ///< the number that is clone2 for OCI runtimes' listeners
        std::set<uid_t> allowed;   ///< peers beside root and our own uid
        std::string policy_path;   ///< empty: none
        bool results_known = true; ///< false: the kernel makes the calls
        Ledger::Totals totals;     ///< what all peers together may use
    };
    /// Throws std::runtime_error where the policy can't be read.
    Agent(EventLoop &loop, Scheduler &scheduler, Diagnostics &diagnostics, AuditSink &audit,
          std::shared_ptr<const Procfs> procfs, Config config, ListeningSocket socket);
    Agent(const Agent &) = delete;
    Agent &operator=(const Agent &) = delete;
    ~Agent() = default;

    /// Takes back what the service manager kept from an earlier agent.
    void restore(std::vector<PassedFd> kept);
    /// Takes connections from now on and says so to the service manager.
    void start();
    /// A broken file leaves the policy as it is, and a warning.
    void reload_policy();
    /// Takes no further connections; those that are not through are closed.
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
        /// What it is about, and since when.
        enum class Phase {
            silent,   ///< it is connected
            speaking, ///< something has come
            taken     ///< its listener is served
        } phase = Phase::silent;
        std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
        Charge descriptors;
        Charge memory;
        const char *ended = nullptr; ///< why it was shut down by us
    };
    /// In the order in which they came.
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
    std::map<uid_t, std::size_t> open_peers_; ///< by user, those that we have not shut down
    /// Those whose message is complete, by user: users take turns.
    std::map<uid_t, std::deque<std::uint64_t>> complete_;
    uid_t last_turn_ = 0;
    std::uint64_t next_peer_ = 0;
    bool sweeping_ = false; ///< a sweep will come
    bool handling_ = false; ///< handle_messages() will come
    bool crowded_ = false;  ///< an accepted connection was one too many
    bool stopped_ = false;
};

} // namespace clone2::agent
