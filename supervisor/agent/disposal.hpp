// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

namespace clone2::agent
{

/// Closes descriptors that a peer has sent, on a thread of its own: close(2) of a file on FUSE or
/// of a socket that lingers waits for whoever made it, for any time. Thread-safe.
class Disposal
{
public:
    Disposal();
    Disposal(const Disposal &) = delete;
    Disposal &operator=(const Disposal &) = delete;
    /// Does not wait for a close that hangs: the process's end does it.
    ~Disposal();

    void take(std::vector<Fd> fds);

private:
    struct State {
        std::mutex mutex;
        std::condition_variable wake;
        std::vector<Fd> fds;
        bool ended = false;
    };
    static void work(const std::shared_ptr<State> &state);

    std::shared_ptr<State> state_; ///< shared with the thread, which may stay behind
};

} // namespace clone2::agent
