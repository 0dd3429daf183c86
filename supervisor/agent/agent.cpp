// SPDX-License-Identifier: MIT
#include "agent/agent.hpp"

#include <utility>

namespace clone2::agent
{

Agent::Agent(EventLoop &loop, Scheduler &scheduler, Diagnostics &diagnostics, AuditSink &audit,
             std::shared_ptr<const Procfs> procfs, Config config, ListeningSocket socket)
    : diagnostics_(diagnostics), policy_(std::move(config.policy_path), config.results_known),
      ledger_(std::make_shared<Ledger>(config.totals, diagnostics)), disposal_(ledger_),
      listeners_(scheduler,
                 {audit, diagnostics, policy_, std::move(procfs), config.calls,
                  std::move(config.self_served)},
                 systemd_, ledger_, disposal_),
      peers_(loop, diagnostics, std::move(config.allowed), ledger_, disposal_, listeners_,
             std::move(socket))
{
}

void Agent::restore(std::vector<PassedFd> kept)
{
    listeners_.restore(std::move(kept));
}

void Agent::start()
{
    peers_.start();
    systemd_.notify("READY=1");
}

void Agent::reload_policy()
{
    policy_.reload(diagnostics_);
}

void Agent::stop()
{
    systemd_.notify("STOPPING=1");
    peers_.stop();
}

} // namespace clone2::agent
