// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "base/result.hpp"
#include "listener/notification.hpp"

#include <cstddef>
#include <cstdint>

namespace clone2
{

/// The narrow interface between us and the kernel's notifications; tests fake it.
/// Implementations are thread-safe: several threads answer different notifications at once.
class NotificationSource
{
public:
    NotificationSource() = default;
    NotificationSource(const NotificationSource &) = delete;
    NotificationSource &operator=(const NotificationSource &) = delete;
    virtual ~NotificationSource() = default;

    /// Takes the next notification. ENOENT: the target died (or was interrupted) meanwhile.
    virtual Result<Notification> receive() = 0;
    /// The notification is still being waited on, so its tid still means the same thread.
    [[nodiscard]] virtual bool still_valid(std::uint64_t id) const = 0;
    /// Ends the wait with `value`: >= 0 a result, < 0 a -errno. ENOENT: the target is gone.
    virtual Result<void> answer(std::uint64_t id, std::int64_t value) = 0;
    /// False on kernels before 5.19: there any signal, also PTRACE_INTERRUPT, ends the wait.
    [[nodiscard]] virtual bool wait_killable() const = 0;
};

/// A seccomp listener descriptor (seccomp_unotify(2)). Thread-safe.
class Listener final : public NotificationSource
{
public:
    /// Takes over `fd`. Asks for synchronous wake-ups (6.6), silently without where refused.
    /// Throws std::system_error when the kernel doesn't tell the sizes of its structs.
    Listener(Fd fd, bool wait_killable);

    Result<Notification> receive() override;
    [[nodiscard]] bool still_valid(std::uint64_t id) const override;
    Result<void> answer(std::uint64_t id, std::int64_t value) override;
    [[nodiscard]] bool wait_killable() const override { return wait_killable_; }

    [[nodiscard]] int fd() const { return fd_.get(); }
    /// What is there to receive. hung_up: all targets are gone, nothing will ever arrive again.
    enum class Pending { none, notification, hung_up };
    [[nodiscard]] Pending pending() const;

private:
    Fd fd_;
    bool wait_killable_;
    std::size_t notification_size_; ///< the kernel's, which may be larger than our header's
    std::size_t response_size_;
};

} // namespace clone2
