// SPDX-License-Identifier: MIT
#pragma once

#include "agent/ledger.hpp"
#include "base/fd.hpp"

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace clone2::agent
{

/// What a peer leaves behind.
struct Waste {
    std::vector<Fd> fds;
    Fd connection; ///< with descriptors in it that were not received, perhaps
    std::optional<Charge> charge;
};

/// Closes descriptors that peers have sent. The last close(2) of a socket that lingers, or of a
/// file on FUSE, waits for whoever made it, for any time: each user has a thread of its own for
/// that, as long as there is something to close, and holds up nobody else's. What is not closed
/// counts as the user's. Thread-safe.
class Disposal
{
public:
    Disposal() : state_(std::make_shared<State>()) {}

    void take(uid_t user, Waste waste);

private:
    struct State {
        std::mutex mutex;
        struct Queue {
            std::deque<Waste> waste;
            bool worked_on = false; ///< else there was no thread for it; the next take() asks again
        };
        /// A close that hangs when the process ends is not waited for.
        std::map<uid_t, Queue> users;
    };
    static void work(const std::shared_ptr<State> &state, uid_t user);

    std::shared_ptr<State> state_; ///< shared with the threads, which may stay behind
};

} // namespace clone2::agent
