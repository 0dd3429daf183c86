// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace clone2
{

/// What the supervisor needs of an event loop, so that one translation unit per kernel interface
/// holds all that knows Boost.Asio (its choice of io_uring or epoll is made when compiling).
/// Thread-safe: any number of threads may be in run_one() at once.
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

        /// Calls `handler` once, from run_one(), when there is something to read, or the other
        /// end has hung up. One outstanding wait at a time.
        virtual void wait_readable(Handler handler) = 0;
    };

    EventLoop() = default;
    EventLoop(const EventLoop &) = delete;
    EventLoop &operator=(const EventLoop &) = delete;
    virtual ~EventLoop() = default;

    [[nodiscard]] virtual std::unique_ptr<Watch> watch(int fd) = 0;
    /// Calls `handler` once, after `delay`.
    virtual void after(std::chrono::milliseconds delay, Handler handler) = 0;
    /// Runs one handler, waiting for it. False: stopped.
    virtual bool run_one() = 0;
    /// Runs one handler that is due already. False: there is none, or stopped.
    virtual bool run_ready() = 0;
    /// Makes every run_one() and run_ready() return false.
    virtual void stop() = 0;
    [[nodiscard]] virtual bool stopped() const = 0;
    /// "io_uring" or "epoll".
    [[nodiscard]] virtual const char *name() const = 0;
};

/// Throws std::system_error where the kernel or a container's seccomp profile refuses io_uring.
[[nodiscard]] std::unique_ptr<EventLoop> make_io_uring_loop();
[[nodiscard]] std::unique_ptr<EventLoop> make_epoll_loop();

enum class LoopChoice { automatic, io_uring, epoll };

/// Runs one empty operation through a ring: that the rings can be set up does not mean that they
/// can be used. Throws std::system_error.
void probe_io_uring();

/// The loop asked for; automatic: epoll. A ring's polls and timers complete in the thread that
/// submitted them (task work): where that one is held up by a call, in memory behind userfaultfd
/// say, whoever waits in its place hears nothing. Measured, io_uring is no faster here, and takes
/// 1.5 MB more. Throws std::system_error.
[[nodiscard]] std::unique_ptr<EventLoop> make_event_loop(LoopChoice choice);

} // namespace clone2
