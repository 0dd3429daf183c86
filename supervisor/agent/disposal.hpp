// SPDX-License-Identifier: MIT
#pragma once

#include "agent/ledger.hpp"
#include "base/fd.hpp"

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace clone2::agent
{

/// Closes descriptors that peers have sent. The last close(2) of a file may wait for its creator. A
/// socket that lingers waits until a signal comes, so signals come. A file on FUSE may wait
/// forever: each user gets a thread for closing files, while there are some, and can't hold up
/// other users. Connections have another thread for each user: no close that flushes a file is
/// in its way, so it always gets through. Descriptors stay charged to the user until they are
/// closed. Thread-safe.
class Disposal
{
public:
    explicit Disposal(std::shared_ptr<Ledger> ledger)
        : ledger_(std::move(ledger)), state_(std::make_shared<State>())
    {
    }

    /// Closes what a peer leaves behind; on this thread only if closing can't block. `connection`
    /// may contain descriptors that were not received, and may be empty.
    void take(uid_t user, std::vector<Fd> files, Fd connection);

private:
    enum class Kind { files, connections };
    using Owner = std::pair<uid_t, Kind>;
    struct Waste {
        std::vector<Fd> fds;
        Charge charge;
    };
    struct State {
        std::mutex mutex;
        struct Queue {
            std::deque<Waste> waste;
            bool worked_on = false; ///< false: no thread could be made; the next take() tries again
        };
        /// Not joined: a close that hangs must not keep the process from ending.
        std::map<Owner, Queue> queues;
    };
    void put(const Owner &owner, std::vector<Fd> fds);
    static void close_all(Waste waste);
    static void work(const std::shared_ptr<State> &state, const Owner &owner);

    std::shared_ptr<Ledger> ledger_;
    std::shared_ptr<State> state_; ///< shared with the threads, which may outlive this
};

} // namespace clone2::agent
