// SPDX-License-Identifier: MIT
#pragma once

#include "agent/disposal.hpp"
#include "agent/ledger.hpp"
#include "agent/listeners.hpp"
#include "agent/listening_socket.hpp"
#include "agent/peers.hpp"
#include "agent/policy_holder.hpp"
#include "agent/systemd.hpp"
#include "calls/scheduler.hpp"
#include "loop/event_loop.hpp"

#include <memory>
#include <set>
#include <string>
#include <vector>

namespace clone2::agent
{

/// Takes listeners from the peers of a socket and has a Scheduler serve them. This class only wires
/// its parts. Call it in handlers of the event loop (see Peers). It must outlive the scheduler's
/// run().
class Agent
{
public:
    struct Config {
        CallTable calls;           ///< of listeners from OCI runtimes
        std::set<uid_t> allowed;   ///< allowed peers besides root and our own uid
        std::string policy_path;   ///< empty: none
        bool results_known = true; ///< false: the kernel makes the calls
        Ledger::Totals totals;     ///< limits for all peers together
        std::function<void(const SelfServed &)> self_served; ///< see JudgedOwner
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
    Diagnostics &diagnostics_;
    PolicyHolder policy_;
    Systemd systemd_;
    std::shared_ptr<Ledger> ledger_;
    Disposal disposal_;
    Listeners listeners_;
    Peers peers_;
};

} // namespace clone2::agent
