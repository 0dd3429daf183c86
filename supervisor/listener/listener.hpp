// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "base/result.hpp"
#include "listener/notification.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace clone2
{

/// The narrow interface to the kernel's notifications; tests fake it. Implementations are
/// thread-safe: several threads answer different notifications at once.
class NotificationSource
{
public:
    NotificationSource() = default;
    NotificationSource(const NotificationSource &) = delete;
    NotificationSource &operator=(const NotificationSource &) = delete;
    virtual ~NotificationSource() = default;

    /// Takes the next notification. ENOENT: the target died or was interrupted in the meantime.
    virtual Result<Notification> receive() = 0;
    /// Whether the target still waits for this answer, so its tid still names the same thread.
    [[nodiscard]] virtual bool still_valid(std::uint64_t id) const = 0;
    /// Answers with `value`: >= 0 is a result, < 0 a -errno. ENOENT: the target is gone.
    virtual Result<void> answer(std::uint64_t id, std::int64_t value) = 0;
    /// Leaves the call to the kernel, as if it had not been trapped (5.5), or else answers with
    /// ENOSYS.
    virtual Result<void> leave_to_kernel(std::uint64_t id) { return answer(id, -ENOSYS); }
    /// False, as on kernels before 5.19: any signal, even PTRACE_INTERRUPT, ends the target's wait.
    /// nullopt: not known yet, because the installer of the filter did not say.
    [[nodiscard]] virtual std::optional<bool> wait_killable() const = 0;
    /// Records what was found out.
    virtual void learn_wait_killable(bool wait_killable) = 0;
};

/// Whether the descriptor is a seccomp listener. Never makes an ioctl(2) on a file: the peer may
/// have sent one on FUSE, where an ioctl waits for the peer. Thread-safe.
[[nodiscard]] bool is_seccomp_listener(int fd);

/// Room for a struct seccomp_notif, also as later kernels may have extended it.
struct alignas(std::uint64_t) NotificationRoom {
    std::array<std::byte, 512> bytes;
};

/// A seccomp listener descriptor (seccomp_unotify(2)). Thread-safe.
class Listener : public NotificationSource
{
public:
    /// Takes ownership of `fd`. Asks for synchronous wake-ups (6.6) and ignores a refusal. Throws
    /// std::system_error if the kernel doesn't report the sizes of its structs or refuses
    /// NOTIF_ID_VALID.
    ///
    /// `wait_killable`: whether the filter was installed with WAIT_KILLABLE_RECV; nullopt: unknown
    /// (the kernel doesn't report it).
    Listener(Fd fd, std::optional<bool> wait_killable);

    Result<Notification> receive() override;
    [[nodiscard]] bool still_valid(std::uint64_t id) const override;
    Result<void> answer(std::uint64_t id, std::int64_t value) override;
    Result<void> leave_to_kernel(std::uint64_t id) override;
    [[nodiscard]] std::optional<bool> wait_killable() const override;
    void learn_wait_killable(bool wait_killable) override;

    [[nodiscard]] int fd() const { return fd_.get(); }
    /// hung_up: all targets are gone and nothing will ever arrive again.
    enum class Pending { none, notification, hung_up };
    [[nodiscard]] Pending pending() const { return wait(-1, std::chrono::milliseconds(0)); }
    /// Waits for anything but `none`, for at most `time`, and only until the descriptor `other`
    /// (-1: none) is readable.
    [[nodiscard]] virtual Pending wait(int other, std::chrono::milliseconds time) const;

protected:
    /// receive() into this memory, which must be zero.
    [[nodiscard]] Result<Notification> receive_into(NotificationRoom &room);

private:
    enum class Known : std::uint8_t { unknown, no, yes };

    Fd fd_;
    std::atomic<Known> wait_killable_;
    std::size_t notification_size_; ///< the kernel's; may be larger than our header's
    std::size_t response_size_;
};

} // namespace clone2
