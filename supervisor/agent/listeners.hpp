// SPDX-License-Identifier: MIT
#pragma once

#include "agent/disposal.hpp"
#include "agent/ledger.hpp"
#include "agent/listener_note.hpp"
#include "agent/peer_listener.hpp"
#include "agent/systemd.hpp"
#include "calls/scheduler.hpp"

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace clone2::agent
{

/// The listeners that peers have handed over. Has the scheduler serve them, within each user's
/// share, and the service manager keep them. For one thread at a time. It must outlive the
/// scheduler's run().
class Listeners
{
public:
    Listeners(Scheduler &scheduler, PeerListener::Shared shared, const Systemd &systemd,
              std::shared_ptr<Ledger> ledger, Disposal &disposal)
        : scheduler_(scheduler), shared_(std::move(shared)), systemd_(systemd),
          ledger_(std::move(ledger)), disposal_(disposal)
    {
    }
    Listeners(const Listeners &) = delete;
    Listeners &operator=(const Listeners &) = delete;
    ~Listeners() = default;

    /// Takes over the descriptors of this user's message. Empty: the listener is served. Else why
    /// not.
    [[nodiscard]] std::string take(uid_t uid, std::vector<Fd> fds, ProcessState state);
    /// Takes over the descriptors that the service manager kept for an earlier agent.
    void restore(std::vector<PassedFd> kept);

private:
    /// How the service manager keeps a listener.
    struct Kept {
        std::optional<ListenerNote> note;
        std::string name; ///< empty: it is not kept
    };
    using Amounts = std::initializer_list<std::pair<Resource, std::uint64_t>>;

    [[nodiscard]] std::string serve(Fd fd, const Subject &subject);
    [[nodiscard]] std::string charge(uid_t uid, Amounts amounts, std::vector<Charge> &charges);
    [[nodiscard]] Kept keep(int fd, const Subject &subject, std::vector<Charge> &charges);
    void restore_one(const std::string &name, std::vector<Fd> fds);
    void add(Fd fd, const Subject &subject, Kept kept, std::vector<Charge> charges);
    void forget(const std::string &name) const;

    Scheduler &scheduler_;
    const PeerListener::Shared shared_;
    const Systemd &systemd_;
    std::shared_ptr<Ledger> ledger_;
    Disposal &disposal_;
};

} // namespace clone2::agent
