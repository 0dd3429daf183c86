// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace clone2
{

/// What the supervisor needs from an event loop. Boost.Asio chooses io_uring or epoll at compile
/// time, so only one translation unit per kernel interface includes it. Thread-safe: any number of
/// threads may be in run_one() at once.
class EventLoop
{
public:
    using Handler = std::function<void()>;

    /// A watched descriptor; not owned. Destroy it only when no wait is outstanding.
    class Watch
    {
    public:
        Watch() = default;
        Watch(const Watch &) = delete;
        Watch &operator=(const Watch &) = delete;
        virtual ~Watch() = default;

        /// Calls `handler` once, from run_one(), when there is something to read or the peer has
        /// hung up. At most one outstanding wait.
        virtual void wait_readable(Handler handler) = 0;
    };

    EventLoop() = default;
    EventLoop(const EventLoop &) = delete;
    EventLoop &operator=(const EventLoop &) = delete;
    virtual ~EventLoop() = default;

    [[nodiscard]] virtual std::unique_ptr<Watch> watch(int fd) = 0;
    /// Calls `handler` once, after `delay`.
    virtual void after(std::chrono::milliseconds delay, Handler handler) = 0;
    /// Waits for one handler and runs it. False: stopped.
    virtual bool run_one() = 0;
    /// Runs one handler that is ready. False: none is ready, or stopped.
    virtual bool run_ready() = 0;
    /// Makes every run_one() and run_ready() return false.
    virtual void stop() = 0;
    [[nodiscard]] virtual bool stopped() const = 0;
    /// "io_uring" or "epoll".
    [[nodiscard]] virtual const char *name() const = 0;
};

/// Throws std::system_error if the kernel or a container's seccomp profile refuses io_uring.
[[nodiscard]] std::unique_ptr<EventLoop> make_io_uring_loop();
[[nodiscard]] std::unique_ptr<EventLoop> make_epoll_loop();

enum class LoopChoice { automatic, io_uring, epoll };

/// Runs one no-op through a ring, since a ring that can be set up can't always be used. Throws
/// std::system_error.
void probe_io_uring();

/// Makes the loop asked for; automatic means epoll. A ring's polls and timers complete in the
/// thread that submitted them (task work): while a call holds that thread up, say in memory behind
/// userfaultfd, the thread that waits in its place sees no events. Measured here, io_uring is no
/// faster and takes 1.5 MB more. Throws std::system_error.
[[nodiscard]] std::unique_ptr<EventLoop> make_event_loop(LoopChoice choice);

} // namespace clone2
