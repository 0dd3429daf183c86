// SPDX-License-Identifier: MIT
/// @file
/// The C API of clone2/supervise.h for C++17 and later, header-only. Its notes on threads, signals,
/// waiting for children and fork() apply here, too.
#ifndef CLONE2_SUPERVISE_HPP
#define CLONE2_SUPERVISE_HPP

#include <clone2/supervise.h>

#include <cerrno>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace clone2
{

/// Refuses a call: the errno for the caller, the reason for the event.
struct PolicyRefusal {
    int err = 0;
    std::string reason;
};

/// A Supervisor's callbacks; any may be empty. They run on serving threads, with run() on several
/// at once. An exception that leaves a callback ends the program (std::terminate).
struct SupervisorCallbacks {
    std::function<void(const clone2_event &)> event;
    std::function<std::optional<PolicyRefusal>(const clone2_request &)> policy;
    std::function<void(void *cookie, clone2_ended why)> ended;
    std::function<void(clone2_log_level level, std::string_view message)> log;
};

/// Owns a clone2_supervisor. Movable; thread-safe where the C API is. The functions don't throw:
/// they set `error`, or clear it on success. Must not be destroyed in one of its own callbacks
/// (std::terminate).
class Supervisor
{
public:
    /// `flags`: clone2_supervisor_flags; `dispatch_limit`: most calls served by one dispatch(), 0:
    /// 16. Throws std::system_error and std::bad_alloc.
    explicit Supervisor(SupervisorCallbacks callbacks = {}, unsigned flags = 0,
                        unsigned dispatch_limit = 0)
        : callbacks_(std::make_unique<SupervisorCallbacks>(std::move(callbacks)))
    {
        clone2_supervisor_options options = CLONE2_SUPERVISOR_OPTIONS_INIT;
        options.flags = flags;
        options.dispatch_limit = dispatch_limit;
        options.user = callbacks_.get();
        options.event = callbacks_->event ? on_event : nullptr;
        options.policy = callbacks_->policy ? on_policy : nullptr;
        options.ended = callbacks_->ended ? on_ended : nullptr;
        options.log = callbacks_->log ? on_log : nullptr;
        clone2_supervisor *made = nullptr;
        if (const int result = clone2_supervisor_new(&options, &made); result < 0) {
            throw std::system_error(-result, std::generic_category(), "clone2_supervisor_new()");
        }
        supervisor_.reset(made);
    }
    Supervisor(Supervisor &&) noexcept = default;
    Supervisor &operator=(Supervisor &&other) noexcept
    {
        supervisor_ =
            std::move(other.supervisor_); // the old one calls its callbacks when it is freed
        callbacks_ = std::move(other.callbacks_);
        return *this;
    }
    ~Supervisor() = default;

    /// Serves the listener `fd`. The supervisor owns it on success; on error the caller keeps it.
    /// `flags`: clone2_listener_flags.
    void add_listener(int fd, void *cookie, unsigned flags, std::error_code &error) noexcept
    {
        (void)told(clone2_supervisor_add_listener(get(), fd, cookie, flags), error);
    }
    /// Returns the number of notifications served.
    int dispatch(std::error_code &error) noexcept
    {
        return told(clone2_supervisor_dispatch(get()), error);
    }
    /// `error` is std::errc::operation_canceled after stop().
    void run(unsigned flags, std::error_code &error) noexcept
    {
        (void)told(clone2_supervisor_run(get(), flags), error);
    }
    void stop() noexcept { clone2_supervisor_stop(get()); }

    [[nodiscard]] int fd() const noexcept { return clone2_supervisor_fd(get()); }
    [[nodiscard]] int listener_count() const noexcept
    {
        return clone2_supervisor_listener_count(get());
    }
    [[nodiscard]] clone2_supervisor *get() const noexcept { return supervisor_.get(); }

private:
    struct Free {
        void operator()(clone2_supervisor *supervisor) const noexcept
        {
            if (clone2_supervisor_free(supervisor) == -EDEADLK) {
                std::terminate();
            }
        }
    };

    static int told(int result, std::error_code &error) noexcept
    {
        error = result < 0 ? std::error_code(-result, std::generic_category()) : std::error_code();
        return result < 0 ? 0 : result;
    }
    static SupervisorCallbacks &callbacks_of(void *user)
    {
        return *static_cast<SupervisorCallbacks *>(user);
    }

    static void on_event(void *user, const clone2_event *event) noexcept
    {
        callbacks_of(user).event(*event);
    }
    static int on_policy(void *user, const clone2_request *request, char *reason) noexcept
    {
        const auto refusal = callbacks_of(user).policy(*request);
        if (!refusal) {
            return 0;
        }
        reason[refusal->reason.copy(reason, CLONE2_REASON_SIZE - 1)] = '\0';
        return refusal->err != 0 ? refusal->err : -1; // 0 would allow the call
    }
    static void on_ended(void *user, void *cookie, clone2_ended why) noexcept
    {
        callbacks_of(user).ended(cookie, why);
    }
    static void on_log(void *user, clone2_log_level level, const char *message) noexcept
    {
        callbacks_of(user).log(level, message);
    }

    std::unique_ptr<SupervisorCallbacks> callbacks_; ///< outlives the supervisor
    std::unique_ptr<clone2_supervisor, Free> supervisor_;
};

} // namespace clone2

#endif
