// SPDX-License-Identifier: MIT
#include "api/callbacks.hpp"
#include "api/pollable_loop.hpp"
#include "base/fd.hpp"
#include "base/procfs.hpp"
#include "calls/call_handler.hpp"
#include "calls/scheduler.hpp"
#include "listener/listener.hpp"

#include <clone2/supervise.h>

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>

using namespace clone2;
using namespace clone2::api;

struct clone2_supervisor {
    explicit clone2_supervisor(const clone2_supervisor_options &options)
        : callbacks{options, this}, diagnostics(callbacks),
          handler(std::make_shared<const Procfs>(), diagnostics, std::nullopt, Waiting::shared),
          scheduler(loop, handler, diagnostics)
    {
    }

    const pid_t process = ::getpid();
    const Callbacks callbacks;
    CallbackDiagnostics diagnostics;
    PollableLoop loop;
    CallHandler handler;
    Scheduler scheduler;
    std::atomic<bool> stopped{false};

    std::mutex mutex;
    std::condition_variable idle;
    bool serving = false; ///< dispatch() or run() is under way

    [[nodiscard]] bool is_in_fork_child() const { return ::getpid() != process; }
};

namespace
{

constexpr unsigned default_dispatch_limit = 16;

/// Wraps every function: no exception leaves it, and the thread can't be cancelled inside.
template <typename Work>
int guarded(Work work) noexcept
{
    int cancel_state = 0;
    ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    int result = 0;
    try {
        result = work();
    } catch (const std::bad_alloc &) {
        result = -ENOMEM;
    } catch (const std::system_error &error) {
        result = error.code().value() > 0 ? -error.code().value() : -EIO;
    } catch (...) {
        result = -EIO;
    }
    ::pthread_setcancelstate(cancel_state, nullptr);
    return result;
}

/// Takes the turn to serve, if it is free, and holds it until destruction.
class Turn
{
public:
    explicit Turn(clone2_supervisor &supervisor) : supervisor_(supervisor)
    {
        const std::lock_guard lock(supervisor.mutex);
        mine_ = !supervisor.serving;
        supervisor.serving = true;
    }
    Turn(const Turn &) = delete;
    Turn &operator=(const Turn &) = delete;
    ~Turn()
    {
        if (mine_) {
            const std::lock_guard lock(supervisor_.mutex);
            supervisor_.serving = false;
            supervisor_.idle.notify_all();
        }
    }
    [[nodiscard]] bool is_mine() const { return mine_; }

private:
    clone2_supervisor &supervisor_;
    bool mine_ = false;
};

/// -errno if the options can't be accepted.
int read_options(const clone2_supervisor_options *given, clone2_supervisor_options &options)
{
    if (given == nullptr) {
        return 0;
    }
    const auto *const bytes = reinterpret_cast<const unsigned char *>(given);
    if (given->size < sizeof given->size) {
        return -EINVAL;
    }
    for (std::size_t at = sizeof options; at < given->size; ++at) {
        if (bytes[at] != 0) {
            return -E2BIG;
        }
    }
    std::memcpy(&options, given, std::min(given->size, sizeof options));
    constexpr unsigned known = CLONE2_FAILURES_ONLY | CLONE2_WITH_DETAILS;
    return (options.flags & ~known) == 0 ? 0 : -EINVAL;
}

int check_listener(int fd)
{
    if (::fcntl(fd, F_GETFD) < 0) {
        return -EBADF;
    }
    return is_seccomp_listener(fd) ? 0 : -EINVAL;
}

int add_listener(clone2_supervisor &supervisor, int fd, void *cookie, unsigned flags)
{
    constexpr unsigned both = CLONE2_LISTENER_WAIT_KILLABLE | CLONE2_LISTENER_NOT_WAIT_KILLABLE;
    if ((flags & ~(both | CLONE2_LISTENER_NO_NEW_PRIVS)) != 0 || (flags & both) == both) {
        return -EINVAL;
    }
    if (const int result = check_listener(fd); result < 0) {
        return result;
    }
    std::optional<bool> wait_killable;
    if ((flags & both) != 0) {
        wait_killable = (flags & CLONE2_LISTENER_WAIT_KILLABLE) != 0;
    }
    Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!copy) {
        return -errno;
    }
    const auto owner =
        std::make_shared<CallbackOwner>(supervisor.callbacks, supervisor.handler, cookie);
    try {
        supervisor.scheduler.add_listener(
            std::make_unique<Listener>(std::move(copy), wait_killable), owner);
    } catch (...) {
        owner->forget();
        throw;
    }
    ::close(fd);
    return 0;
}

int run(clone2_supervisor &supervisor, unsigned flags)
{
    const Turn turn(supervisor);
    if (!turn.is_mine()) {
        return -EBUSY;
    }
    if (!supervisor.stopped) {
        supervisor.scheduler.run((flags & CLONE2_RUN_UNTIL_STOPPED) != 0
                                     ? Scheduler::Until::stopped
                                     : Scheduler::Until::no_listener);
        // The scheduler stops the loop at the end of each run(); another run() may follow.
        supervisor.loop.restart();
        if (supervisor.stopped) {
            supervisor.loop.stop();
        }
    }
    return supervisor.stopped ? -ECANCELED : 0;
}

int dispatch(clone2_supervisor &supervisor)
{
    const Turn turn(supervisor);
    if (!turn.is_mine()) {
        return -EBUSY;
    }
    if (supervisor.stopped) {
        return -ECANCELED;
    }
    const unsigned limit = supervisor.callbacks.options.dispatch_limit;
    return static_cast<int>(
        supervisor.scheduler.serve_pending(limit != 0 ? limit : default_dispatch_limit));
}

} // namespace

int clone2_supervisor_new(const clone2_supervisor_options *options, clone2_supervisor **out)
{
    return guarded([&] {
        clone2_supervisor_options known = CLONE2_SUPERVISOR_OPTIONS_INIT;
        if (out == nullptr) {
            return -EINVAL;
        }
        if (const int result = read_options(options, known); result < 0) {
            return result;
        }
        *out = std::make_unique<clone2_supervisor>(known).release();
        return 0;
    });
}

int clone2_supervisor_free(clone2_supervisor *supervisor)
{
    if (supervisor == nullptr) {
        return 0;
    }
    if (supervisor->is_in_fork_child()) {
        return -ECHILD;
    }
    if (InCallback::of(supervisor)) {
        return -EDEADLK;
    }
    return guarded([&] {
        clone2_supervisor_stop(supervisor);
        {
            std::unique_lock lock(supervisor->mutex);
            supervisor->idle.wait(lock, [&] { return !supervisor->serving; });
        }
        delete supervisor;
        return 0;
    });
}

int clone2_supervisor_add_listener(clone2_supervisor *supervisor, int fd, void *cookie,
                                   unsigned flags)
{
    if (supervisor->is_in_fork_child()) {
        return -ECHILD;
    }
    return guarded([&] { return add_listener(*supervisor, fd, cookie, flags); });
}

int clone2_supervisor_listener_count(clone2_supervisor *supervisor)
{
    if (supervisor->is_in_fork_child()) {
        return -ECHILD;
    }
    return guarded([&] { return static_cast<int>(supervisor->scheduler.listener_count()); });
}

int clone2_supervisor_fd(const clone2_supervisor *supervisor)
{
    return supervisor->loop.fd();
}

int clone2_supervisor_dispatch(clone2_supervisor *supervisor)
{
    const int kept = errno;
    if (supervisor->is_in_fork_child()) {
        return -ECHILD;
    }
    const int result = guarded([&] { return dispatch(*supervisor); });
    errno = kept;
    return result;
}

int clone2_supervisor_run(clone2_supervisor *supervisor, unsigned flags)
{
    if (supervisor->is_in_fork_child()) {
        return -ECHILD;
    }
    constexpr unsigned known = CLONE2_RUN_UNTIL_STOPPED;
    if ((flags & ~known) != 0) {
        return -EINVAL;
    }
    return guarded([&] { return run(*supervisor, flags); });
}

void clone2_supervisor_stop(clone2_supervisor *supervisor)
{
    if (!supervisor->is_in_fork_child()) {
        supervisor->stopped = true;
        supervisor->loop.stop();
    }
}

const char *clone2_supervise_version(void)
{
    return CLONE2_VERSION;
}
