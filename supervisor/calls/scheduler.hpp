// SPDX-License-Identifier: MIT
#pragma once

#include "base/budget.hpp"
#include "base/diagnostics.hpp"
#include "base/fd.hpp"
#include "calls/call_handler.hpp"
#include "listener/listener.hpp"
#include "loop/event_loop.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace clone2
{

/// Serves any number of listeners, on as many threads as needed.
///
/// One thread, the leader, waits in the event loop and serves the calls it sees itself, without
/// handing them to another thread. While a listener's calls follow each other closely, the thread
/// that served the last one keeps the listener: it waits on the descriptor alone, because a
/// synchronous wake-up (SYNC_WAKE_UP) does not reach through an epoll set; another thread leads.
/// Another thread joins when a second call waits. A call may hold up its thread for any time (a
/// frozen target, memory behind userfaultfd or FUSE): then a watchdog, which sleeps while nothing
/// is being served, makes another thread the leader. The calls that may be in progress at once are
/// shared among users, and each user's share among its listeners; further calls wait in the kernel.
///
/// A call for which there is no memory gets ENOMEM, and no exception ends a thread. So nothing
/// between the receipt of a call and its answer needs memory, or the need is met beforehand.
///
/// add_listener() and stop() are thread-safe; run() and serve_pending() must not run on two threads
/// at once.
class Scheduler
{
public:
    static constexpr std::uint64_t default_calls = 1024;
    static constexpr std::uint64_t default_postponed = 8192;
    /// `calls`: how many may be in progress at once, at least 4. `postponed`: how many of one
    /// listener may be postponed; more get EAGAIN.
    Scheduler(EventLoop &loop, CallHandler &handler, Diagnostics &diagnostics,
              std::uint64_t calls = default_calls, std::uint64_t postponed = default_postponed)
        : loop_(loop), handler_(handler), diagnostics_(diagnostics), max_postponed_(postponed),
          calls_(calls)
    {
    }

    enum class Until {
        no_listener, ///< the last target of the last listener is gone
        stopped      ///< stop()
    };

    /// Takes ownership of a listener and serves it until it hangs up. Throws std::system_error if
    /// it can't be waited for.
    void add_listener(std::unique_ptr<Listener> listener, std::shared_ptr<ListenerOwner> owner);
    /// Serves, and returns when no call is in progress any more. Can be called again after it ended
    /// for lack of listeners. `begin` is called when everything needed to serve has been created,
    /// and may add the first listener. Throws std::system_error if that fails, and what `begin`
    /// throws.
    void run(Until until = Until::no_listener, const std::function<void()> &begin = {});
    /// Ends run(): no further call is received. Calls in progress are completed, however long that
    /// takes (a frozen target). The listeners are closed with the scheduler, and calls waiting
    /// there then get ENOSYS. The event loop's own stop() does the same.
    void stop();
    /// The alternative to run(): serves what is waiting now, on the calling thread alone, without
    /// waiting for more; at most `most` notifications. Call it again when the event loop has
    /// something to run. Returns the number served.
    std::size_t serve_pending(std::size_t most);
    /// The current number of listeners.
    [[nodiscard]] std::size_t listener_count();
    /// Whether the listener of this descriptor is already served. Only for the thread that adds
    /// listeners.
    [[nodiscard]] bool serves(int fd);

private:
    struct ServedListener {
        ServedListener(EventLoop &loop, std::unique_ptr<Listener> its_listener,
                       std::shared_ptr<ListenerOwner> its_owner)
            : listener(std::move(its_listener)), owner(std::move(its_owner)),
              watch(loop.watch(listener->fd()))
        {
        }
        std::unique_ptr<Listener> listener;
        std::shared_ptr<ListenerOwner> owner;
        std::unique_ptr<EventLoop::Watch> watch; ///< nullptr while kept, and until armed again
        bool armed = false;                      ///< the event loop watches it
        bool ready = false;                      ///< in ready_
        bool waiting = false;                    ///< in waiting_
        bool kept = false;                       ///< a thread waits on its descriptor
        bool ended = false;
        unsigned calls = 0;         ///< received, not completed and not postponed
        unsigned postponed = 0;     ///< received, to be served again
        std::int64_t called_ns = 0; ///< CLOCK_MONOTONIC at the last one's receipt
        bool calls_follow = false;  ///< that was soon after the one before
    };
    using ServedListeners = std::vector<std::shared_ptr<ServedListener>>;
    struct PostponedCall {
        std::shared_ptr<ServedListener> served;
        Notification notification;
    };
    /// The lock on everything after mutex_. Whenever it is released, the invariants hold.
    class Lock : public std::unique_lock<std::mutex>
    {
    public:
        explicit Lock(Scheduler &scheduler)
            : std::unique_lock<std::mutex>(scheduler.mutex_), scheduler_(scheduler)
        {
        }
        Lock(const Lock &) = delete;
        Lock &operator=(const Lock &) = delete;
        ~Lock()
        {
            if (owns_lock()) {
                scheduler_.check_invariants();
            }
        }
        void unlock()
        {
            scheduler_.check_invariants();
            std::unique_lock<std::mutex>::unlock();
        }
        template <typename Condition>
        void wait(std::condition_variable &wake, Condition condition)
        {
            scheduler_.check_invariants();
            wake.wait(*this, condition);
        }
        template <typename Duration, typename Condition>
        void wait_for(std::condition_variable &wake, Duration duration, Condition condition)
        {
            scheduler_.check_invariants();
            wake.wait_for(*this, duration, condition);
        }

    private:
        const Scheduler &scheduler_;
    };
#ifdef CLONE2_INVARIANTS
    void check_invariants() const;
    [[noreturn]] void fail_invariant(const char *reason) const;
#else
    void check_invariants() const {}
#endif

    /// False: an exception, for lack of memory.
    template <typename Run>
    static bool succeeds(Run run) noexcept
    {
        try {
            run();
            return true;
        } catch (const std::exception &) {
            return false;
        }
    }
    void work(bool may_end);
    void watch_over();
    bool find_held_up(std::chrono::nanoseconds time);
    void call_anybody(Lock &lock);
    void lead(Lock &lock);
    template <typename Run>
    bool leading(Lock &lock, Run run);
    template <typename Run>
    void serving(Lock &lock, Run run);
    void look(Lock &lock, unsigned most);
    /// False: there is no memory, and the call has been answered.
    bool try_later(const std::shared_ptr<ServedListener> &served, const Notification &notification);
    void serve_again(Lock &lock);
    void postpone(Lock &lock, const std::shared_ptr<ServedListener> &served,
                  const Notification &notification);
    /// Serves what is in again_ or ready_. False: there is nothing.
    bool serve_next(Lock &lock);
    [[nodiscard]] bool has_room(const ServedListener &served);
    void let_wait(const std::shared_ptr<ServedListener> &served);
    void wake_waiting();
    /// Counts a call as in progress. False: no memory.
    bool begin_call(ServedListener &served);
    void end_call(ServedListener &served);
    void call_is_through(Lock &lock, const std::shared_ptr<ServedListener> &served);
    void end_if_last(Lock &lock, const std::shared_ptr<ServedListener> &served);
    void take(Lock &lock);
    /// What a look at a listener has shown.
    struct Seen {
        Listener::Pending pending = Listener::Pending::none;
        bool more = false; ///< there may be more than one notification
    };
    [[nodiscard]] bool take_from(Lock &lock, const std::shared_ptr<ServedListener> &served,
                                 Seen seen);
    [[nodiscard]] bool may_keep(const ServedListener &served) const;
    [[nodiscard]] Seen keep(Lock &lock, const std::shared_ptr<ServedListener> &served);
    void serve(Lock &lock, const std::shared_ptr<ServedListener> &served,
               const Notification &notification);
    [[nodiscard]] CallHandler::Served see_through(const std::shared_ptr<ServedListener> &served,
                                                  const Notification &notification) noexcept;
    void end(Lock &lock, const std::shared_ptr<ServedListener> &served);
    void tell_end(Lock &lock, const std::shared_ptr<ServedListener> &served);
    void make_ready(const std::shared_ptr<ServedListener> &served);
    /// Throws if it can't.
    void arm(const std::shared_ptr<ServedListener> &served);
    /// Doesn't. Without memory, the listener is looked at again, until there is some.
    void arm_again(const std::shared_ptr<ServedListener> &served);
    /// False: there is none.
    bool call_worker(Lock &lock);
    bool start_worker(Lock &lock);
    void warn(const char *what, const std::exception &error);
    void stop_all();
    void end_without_listeners();

    EventLoop &loop_;
    CallHandler &handler_;
    Diagnostics &diagnostics_;
    const std::uint64_t max_postponed_;

    std::mutex mutex_; ///< protects all below
    std::condition_variable wake_worker_;
    std::condition_variable wake_watchdog_;
    std::condition_variable worker_ended_;
    ServedListeners ready_;          ///< something to receive, or it seemed so; has room for all
    std::list<PostponedCall> again_; ///< those whose time has come
    bool again_is_next_ = false;     ///< again_ and ready_ take turns
    ServedListeners listeners_;
    Budget calls_;                 ///< in progress, by user
    ServedListeners waiting_;      ///< until one of calls_ completes; has room for all
    std::set<uid_t> told_to_wait_; ///< calls_wait() was called for them
    unsigned workers_ = 0;         ///< started threads, without run()'s own and the watchdog
    bool starting_ = false;        ///< one of them does not run yet
    unsigned parked_ = 0;          ///< threads in wake_worker_
    unsigned called_ = 0;          ///< those of them that are woken but not yet running
    unsigned keeping_ = 0;         ///< threads that wait on a listener
    unsigned serving_ = 0;         ///< threads that serve a call, or report an end to its owner
    unsigned ending_ = 0;          ///< those of them that report an end
    std::uint64_t served_ = 0;     ///< calls so far
    std::uint64_t looked_ = 0;     ///< value of served_ at the last look at the event loop
    const unsigned cpus_ = std::thread::hardware_concurrency();
    Fd stop_event_;         ///< readable once stopped, for threads that keep a listener; may lack
    bool leading_ = false;  ///< a thread is in the event loop
    bool watching_ = false; ///< the watchdog is awake
    bool running_ = false;  ///< in run(): there may be threads
    bool told_of_no_thread_ = false; ///< since the last that could be started
    bool stopped_ = false;
    bool finished_ = false; ///< stopped_ for lack of listeners
    Until until_ = Until::no_listener;
};

} // namespace clone2
