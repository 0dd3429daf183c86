// SPDX-License-Identifier: MIT
// A Scheduler whose listeners, event loop and handler are the test's.
#pragma once

#include "call_bench.hpp"
#include "calls/scheduler.hpp"
#include "failing_memory.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

namespace clone2::test
{

/// An event loop in which no time passes: what is to run later may run at once. Thread-safe.
class FakeLoop final : public EventLoop
{
public:
    std::unique_ptr<Watch> watch(int fd) override { return std::make_unique<FakeWatch>(*this, fd); }
    void after(std::chrono::milliseconds /*delay*/, Handler handler) override
    {
        const std::lock_guard lock(mutex_);
        due_.push_back(std::move(handler));
        changed_.notify_all();
    }
    bool run_one() override
    {
        std::unique_lock lock(mutex_);
        Handler handler;
        changed_.wait(lock, [&] { return stopped_ || (handler = take()); });
        lock.unlock();
        return run(handler);
    }
    bool run_ready() override
    {
        Handler handler;
        {
            const std::lock_guard lock(mutex_);
            handler = take();
        }
        return run(handler);
    }
    void stop() override
    {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
        changed_.notify_all();
    }
    [[nodiscard]] bool stopped() const override
    {
        const std::lock_guard lock(mutex_);
        return stopped_;
    }
    [[nodiscard]] const char *name() const override { return "fake"; }

    /// Whether the descriptor has something to read.
    void set_readable(int fd, bool readable)
    {
        const std::lock_guard lock(mutex_);
        if (readable) {
            readable_.insert(fd);
        } else {
            readable_.erase(fd);
        }
        changed_.notify_all();
    }

private:
    class FakeWatch final : public Watch
    {
    public:
        FakeWatch(FakeLoop &loop, int fd) : loop_(loop), fd_(fd) {}
        void wait_readable(Handler handler) override
        {
            const std::lock_guard lock(loop_.mutex_);
            loop_.waits_.emplace_back(fd_, std::move(handler));
            loop_.changed_.notify_all();
        }

    private:
        FakeLoop &loop_;
        const int fd_;
    };

    /// Empty: none is ready, or stopped.
    [[nodiscard]] Handler take()
    {
        Handler handler;
        if (stopped_) {
            return handler;
        }
        for (auto wait = waits_.begin(); wait != waits_.end(); ++wait) {
            if (readable_.contains(wait->first)) {
                handler = std::move(wait->second);
                waits_.erase(wait);
                return handler;
            }
        }
        if (!due_.empty()) {
            handler = std::move(due_.front());
            due_.pop_front();
        }
        return handler;
    }
    static bool run(const Handler &handler)
    {
        if (handler) {
            handler();
        }
        return static_cast<bool>(handler);
    }

    mutable std::mutex mutex_; ///< protects all below
    std::condition_variable changed_;
    std::deque<Handler> due_;
    std::list<std::pair<int, Handler>> waits_;
    std::set<int> readable_;
    bool stopped_ = false;
};

/// A process that has a listener and makes no calls.
class QuietTarget
{
public:
    QuietTarget()
        : child_([this] {
              if (!install_and_send(sockets_.theirs.get(), nr)) {
                  return 98;
              }
              for (;;) {
                  pause();
              }
          }),
          listener_(receive_listener(sockets_.ours.get()).fd)
    {
    }
    /// Another descriptor of its listener.
    [[nodiscard]] Fd listener() const { return Fd{fcntl(listener_.get(), F_DUPFD_CLOEXEC, 3)}; }

private:
    Sockets sockets_ = make_sockets();
    Child child_;
    Fd listener_;
};

/// A listener whose calls the test makes, each with an id of its own. It always has memory.
/// Thread-safe.
class FakeListener final : public Listener
{
public:
    FakeListener(Fd fd, FakeLoop &loop) : Listener(std::move(fd), true), loop_(loop) {}

    void call(std::uint64_t id)
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(id);
        changed_.notify_all();
        loop_.set_readable(fd(), true);
    }
    void hang_up()
    {
        const std::lock_guard lock(mutex_);
        hung_up_ = true;
        changed_.notify_all();
        loop_.set_readable(fd(), true);
    }
    /// By id.
    [[nodiscard]] std::map<std::uint64_t, std::int64_t> answers() const
    {
        const std::lock_guard lock(mutex_);
        return answers_;
    }
    /// How many calls still_valid() has been asked about at least this often, since forget_asked().
    [[nodiscard]] std::size_t asked(unsigned times) const
    {
        const std::lock_guard lock(mutex_);
        std::size_t calls = 0;
        for (const auto &[id, often] : asked_) {
            calls += often >= times ? 1 : 0;
        }
        return calls;
    }
    void forget_asked()
    {
        const std::lock_guard lock(mutex_);
        asked_.clear();
    }

    Result<Notification> receive() override
    {
        const FailingMemory::Working working;
        const std::lock_guard lock(mutex_);
        if (waiting_.empty()) {
            return Error{"fake", 0, ENOENT};
        }
        Notification notification = call_of(getpid(), 0, 0);
        notification.id = waiting_.front();
        waiting_.pop_front();
        loop_.set_readable(fd(), !waiting_.empty());
        return notification;
    }
    [[nodiscard]] bool still_valid(std::uint64_t id) const override
    {
        const FailingMemory::Working working;
        const std::lock_guard lock(mutex_);
        ++asked_[id];
        return !answers_.contains(id);
    }
    Result<void> answer(std::uint64_t id, std::int64_t value) override
    {
        const FailingMemory::Working working;
        const std::lock_guard lock(mutex_);
        return answers_.emplace(id, value).second ? Result<void>() : Error{"fake", 0, ENOENT};
    }
    [[nodiscard]] Pending wait(int /*other*/, std::chrono::milliseconds time) const override
    {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, time, [&] { return !waiting_.empty() || hung_up_; });
        if (!waiting_.empty()) {
            return Pending::notification;
        }
        return hung_up_ ? Pending::hung_up : Pending::none;
    }

private:
    FakeLoop &loop_;
    mutable std::condition_variable changed_;
    mutable std::mutex mutex_; ///< protects all below
    std::deque<std::uint64_t> waiting_;
    std::map<std::uint64_t, std::int64_t> answers_;
    mutable std::map<std::uint64_t, unsigned> asked_;
    bool hung_up_ = false;
};

/// A handler that does as the test says.
class FakeHandler final : public CallHandler
{
public:
    using Act = std::function<Served(const PendingCall &, ListenerOwner &)>;
    FakeHandler(Diagnostics &diagnostics, Act act)
        : CallHandler(procfs(), diagnostics), act_(std::move(act))
    {
    }
    [[nodiscard]] Served serve(const PendingCall &pending, ListenerOwner &owner) override
    {
        return act_(pending, owner);
    }

private:
    Act act_;
};

class OwnerOfUser final : public ListenerOwner
{
public:
    OwnerOfUser(AuditSink &audit, uid_t user) : ListenerOwner(audit), user_(user) {}
    [[nodiscard]] uid_t user() const override { return user_; }

private:
    const uid_t user_;
};

struct SchedulerBench {
    explicit SchedulerBench(FakeHandler::Act act, std::uint64_t calls = Scheduler::default_calls,
                            std::uint64_t postponed = Scheduler::default_postponed)
        : handler(diagnostics, std::move(act)),
          scheduler(loop, handler, diagnostics, calls, postponed)
    {
    }
    /// The scheduler keeps it.
    FakeListener &add_listener(uid_t user)
    {
        auto listener = std::make_unique<FakeListener>(target.listener(), loop);
        FakeListener &added = *listener;
        scheduler.add_listener(std::move(listener), std::make_shared<OwnerOfUser>(records, user));
        return added;
    }

    QuietTarget target;
    Records records;
    Diagnostics diagnostics{Verbosity::quiet};
    FakeLoop loop;
    FakeHandler handler;
    Scheduler scheduler;
};

} // namespace clone2::test
