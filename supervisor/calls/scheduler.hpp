// SPDX-License-Identifier: MIT
#pragma once

#include "base/budget.hpp"
#include "base/diagnostics.hpp"
#include "base/fd.hpp"
#include "calls/call_handler.hpp"
#include "listener/listener.hpp"
#include "loop/event_loop.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

namespace clone2
{

/// Serves listeners: any number of them, on as many threads as are needed.
///
/// One thread, the leader, waits in the event loop. What it is told of, it serves itself, without
/// handing over to another thread: that is the fast way as long as there is one call at a time.
/// Another thread joins in when there is a second call waiting. A call may hold up its thread for
/// any time (a frozen target, memory behind userfaultfd or FUSE): a watchdog, asleep while
/// nothing is being served, then sees to it that somebody else is the leader. How many calls may be
/// under way at once is shared out between users, and each user's part between its listeners; the
/// further ones wait in the kernel.
///
/// add_listener() and stop() are thread-safe; run() and serve_pending() are for one thread at a
/// time.
class Scheduler
{
public:
    static constexpr std::uint64_t default_calls = 1024;
    /// `calls`: so many may be under way at once, at least 4.
    Scheduler(EventLoop &loop, CallHandler &handler, Diagnostics &diagnostics,
              std::uint64_t calls = default_calls)
        : loop_(loop), handler_(handler), diagnostics_(diagnostics), calls_(calls)
    {
    }

    enum class Until {
        no_listener, ///< the last target of the last listener is gone
        stopped      ///< stop()
    };

    /// Takes over a listener descriptor and serves it until its last target is gone.
    /// `wait_killable`: see Listener. Throws std::system_error where the kernel doesn't answer
    /// for it.
    void add_listener(Fd fd, std::optional<bool> wait_killable,
                      std::shared_ptr<ListenerOwner> owner);
    /// Serves, and returns when no call is under way any more. Can be called again where it ended
    /// for want of listeners. `begin` is called when all that serving starts with is there. Throws
    /// std::system_error where it is not, and what `begin` throws.
    void run(Until until = Until::no_listener, const std::function<void()> &begin = {});
    /// Ends run(): no further call is taken up. Those under way are seen through, however long
    /// that takes (a frozen target); the listeners are closed with the scheduler, and the calls
    /// that wait there then get ENOSYS. The event loop's own stop() does the same.
    void stop();
    /// The other way to serve, in place of run(): what there is to do now, on the calling thread
    /// alone, without waiting for more; at most `most` notifications. The event loop is to be
    /// looked at again when it has something to run. Returns how many were served.
    std::size_t serve_pending(std::size_t most);
    /// How many listeners there are now.
    [[nodiscard]] std::size_t listener_count();
    /// Whether the listener behind this descriptor is served already. For the thread that adds.
    [[nodiscard]] bool serves(int fd);

private:
    struct ServedListener {
        ServedListener(EventLoop &loop, Fd fd, std::optional<bool> wait_killable,
                       std::shared_ptr<ListenerOwner> its_owner)
            : listener(std::move(fd), wait_killable), owner(std::move(its_owner)),
              watch(loop.watch(listener.fd()))
        {
        }
        Listener listener;
        std::shared_ptr<ListenerOwner> owner;
        std::unique_ptr<EventLoop::Watch> watch;
        bool armed = false;   ///< the event loop watches it
        bool ready = false;   ///< in ready_
        bool waiting = false; ///< in waiting_
        bool ended = false;
        unsigned calls = 0; ///< received and not through
    };
    using Lock = std::unique_lock<std::mutex>;

    void work(bool may_end);
    void watch_over();
    void lead(Lock &lock);
    template <typename Run>
    bool leading(Lock &lock, Run run);
    void look(Lock &lock, unsigned most);
    void serve_again(Lock &lock);
    [[nodiscard]] bool may_take(const ServedListener &served);
    void let_wait(const std::shared_ptr<ServedListener> &served);
    void wake_waiting();
    void call_is_through(Lock &lock, const std::shared_ptr<ServedListener> &served);
    void take(Lock &lock);
    void serve(Lock &lock, const std::shared_ptr<ServedListener> &served,
               const Notification &notification);
    [[nodiscard]] CallHandler::Served see_through(const std::shared_ptr<ServedListener> &served,
                                                  const Notification &notification) noexcept;
    void end(Lock &lock, const std::shared_ptr<ServedListener> &served);
    void tell_end(Lock &lock, const std::shared_ptr<ServedListener> &served);
    void make_ready(const std::shared_ptr<ServedListener> &served);
    void arm(const std::shared_ptr<ServedListener> &served);
    void call_worker();
    void start_worker();
    void stop_all();

    EventLoop &loop_;
    CallHandler &handler_;
    Diagnostics &diagnostics_;

    std::mutex mutex_; ///< for all below
    std::condition_variable wake_worker_;
    std::condition_variable wake_watchdog_;
    std::condition_variable worker_ended_;
    std::deque<std::shared_ptr<ServedListener>> ready_; ///< something to receive, or so it seemed
    /// To be served another time.
    std::deque<std::pair<std::shared_ptr<ServedListener>, Notification>> again_;
    std::deque<std::shared_ptr<ServedListener>> listeners_;
    Budget calls_;                                        ///< under way, by user
    std::deque<std::shared_ptr<ServedListener>> waiting_; ///< until one of calls_ is through
    std::set<uid_t> told_to_wait_;                        ///< users of whom calls_wait() was told
    unsigned workers_ = 0;     ///< started threads, without run()'s own and the watchdog
    unsigned parked_ = 0;      ///< threads in wake_worker_
    unsigned called_ = 0;      ///< of these, woken but not yet running
    unsigned serving_ = 0;     ///< threads that serve a call
    std::uint64_t served_ = 0; ///< calls so far
    std::uint64_t looked_ = 0; ///< of these, before the event loop was last looked at
    const unsigned cpus_ = std::thread::hardware_concurrency();
    bool leading_ = false;  ///< a thread is in the event loop
    bool watching_ = false; ///< the watchdog is awake
    bool running_ = false;  ///< in run(): there may be threads
    bool stopped_ = false;
    bool finished_ = false; ///< stopped_ for want of listeners
    Until until_ = Until::no_listener;
};

} // namespace clone2
