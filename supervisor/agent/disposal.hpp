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

/// Closes descriptors that peers have sent. The last close(2) of a socket that lingers, or of a
/// file on FUSE, waits for its creator, possibly forever. So each user gets a thread for closing
/// while there is something to close, and can't hold up other users. Descriptors stay charged to
/// the user until they are closed. Thread-safe.
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
    struct Waste {
        std::vector<Fd> fds;
        Fd connection;
        Charge charge;
    };
    struct State {
        std::mutex mutex;
        struct Queue {
            std::deque<Waste> waste;
            bool worked_on = false; ///< false: no thread could be made; the next take() tries again
        };
        /// Not joined: a close that hangs must not keep the process from ending.
        std::map<uid_t, Queue> users;
    };
    static void work(const std::shared_ptr<State> &state, uid_t user);
    static void close_all(Waste waste);

    std::shared_ptr<Ledger> ledger_;
    std::shared_ptr<State> state_; ///< shared with the threads, which may outlive this
};

} // namespace clone2::agent
