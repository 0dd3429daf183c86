// SPDX-License-Identifier: MIT
#pragma once

#include "base/diagnostics.hpp"
#include "base/fd.hpp"
#include "listener/listener.hpp"
#include "loop/event_loop.hpp"
#include "service/service.hpp"

#include <atomic>
#include <memory>

namespace clone2
{

/// Serves listeners: any number of them, on as many threads as are needed.
///
/// A thread that serves a call may be held up by its target for any time, so there is always one
/// more that waits for the next notification: when the last idle one takes a call, it starts
/// another. add_listener() is thread-safe; run() is for one thread, once.
class Server
{
public:
    Server(EventLoop &loop, Service &service, Diagnostics &diagnostics)
        : loop_(loop), service_(service), diagnostics_(diagnostics)
    {
    }

    /// Takes over a listener descriptor and serves it until its last target is gone. Throws
    /// std::system_error where the kernel doesn't answer for it.
    void add_listener(Fd fd, bool wait_killable);
    /// Serves until no listener is left.
    void run();
    /// Every handler that run()'s loop is to call has to be wrapped by this: it keeps the count
    /// of idle threads.
    [[nodiscard]] EventLoop::Handler counted(EventLoop::Handler handler);

private:
    struct Served {
        Served(EventLoop &loop, Fd fd, bool wait_killable)
            : listener(std::move(fd), wait_killable), watch(loop.watch(listener.fd()))
        {
        }
        Listener listener;
        std::unique_ptr<EventLoop::Watch> watch;
    };

    void wait(const std::shared_ptr<Served> &served);
    void on_readable(const std::shared_ptr<Served> &served);
    void serve(const std::shared_ptr<Served> &served, const Notification &notification);
    void work(bool may_end);
    void start_worker();

    EventLoop &loop_;
    Service &service_;
    Diagnostics &diagnostics_;
    std::atomic<int> idle_{0};
    std::atomic<int> listeners_{0};
    std::atomic<int> workers_{0};
};

} // namespace clone2
