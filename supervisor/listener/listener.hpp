// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "base/result.hpp"
#include "listener/notification.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

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
    /// False, as on kernels before 5.19: any signal, also PTRACE_INTERRUPT, ends the wait. nullopt:
    /// not known so far, whoever installed the filter has not said.
    [[nodiscard]] virtual std::optional<bool> wait_killable() const = 0;
    /// What was found out.
    virtual void learn_wait_killable(bool wait_killable) = 0;
};

/// A seccomp listener descriptor (seccomp_unotify(2)). Thread-safe.
class Listener final : public NotificationSource
{
public:
    /// Takes over `fd`. Asks for synchronous wake-ups (6.6), silently without where refused.
    /// Throws std::system_error when the kernel doesn't tell the sizes of its structs, or refuses
    /// to look for a notification.
    ///
    /// `wait_killable`: whether it was installed with WAIT_KILLABLE_RECV; nullopt: not known (the
    /// kernel doesn't tell).
    Listener(Fd fd, std::optional<bool> wait_killable);

    Result<Notification> receive() override;
    [[nodiscard]] bool still_valid(std::uint64_t id) const override;
    Result<void> answer(std::uint64_t id, std::int64_t value) override;
    [[nodiscard]] std::optional<bool> wait_killable() const override;
    void learn_wait_killable(bool wait_killable) override;

    [[nodiscard]] int fd() const { return fd_.get(); }
    /// What is there to receive. hung_up: all targets are gone, nothing will ever arrive again.
    enum class Pending { none, notification, hung_up };
    [[nodiscard]] Pending pending() const;

private:
    enum class Known : std::uint8_t { unknown, no, yes };

    Fd fd_;
    std::atomic<Known> wait_killable_;
    std::size_t notification_size_; ///< the kernel's, which may be larger than our header's
    std::size_t response_size_;
};

} // namespace clone2
