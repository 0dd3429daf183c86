// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "loop/event_loop.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace clone2::api
{

/// An event loop that is itself one descriptor, so that the embedding program's loop can watch it.
/// Plain epoll; creates no thread.
class PollableLoop final : public EventLoop
{
public:
    /// Throws std::system_error.
    PollableLoop();
    ~PollableLoop() override;

    /// Readable when run_ready() has something to run, and permanently once stopped.
    [[nodiscard]] int fd() const { return epoll_.get(); }

    [[nodiscard]] std::unique_ptr<Watch> watch(int fd) override;
    void after(std::chrono::milliseconds delay, Handler handler) override;
    bool run_one() override { return run(-1); }
    bool run_ready() override { return run(0); }
    /// Async-signal-safe.
    void stop() override;
    [[nodiscard]] bool stopped() const override { return stopped_; }
    /// Undoes stop().
    void restart();
    [[nodiscard]] const char *name() const override { return "epoll"; }

private:
    class PollableWatch;
    using Clock = std::chrono::steady_clock;
    using Lock = std::unique_lock<std::mutex>;

    bool run(int timeout_ms);
    void set_timer();
    [[nodiscard]] Handler due_timer();

    Fd epoll_;
    Fd wake_;  ///< eventfd: stopped
    Fd timer_; ///< timerfd: when the first entry of timers_ is due
    std::atomic<bool> stopped_{false};

    std::mutex mutex_; ///< protects all below
    std::uint64_t last_id_;
    std::unordered_map<std::uint64_t, Handler> waiting_; ///< by watch id
    std::multimap<Clock::time_point, Handler> timers_;
};

} // namespace clone2::api
