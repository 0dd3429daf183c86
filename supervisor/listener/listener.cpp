// SPDX-License-Identifier: MIT
#include "listener/listener.hpp"

#include "listener/uninterrupted_ioctl.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <linux/seccomp.h>
#include <string>
#include <string_view>
#include <system_error>

namespace clone2
{

namespace
{

// Newer than Debian 12's headers (linux/seccomp.h, 6.6).
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
constexpr std::uint64_t sync_wake_up = 1; // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP

/// Room for structs that later kernels have extended.
template <typename T>
union Extensible {
    T value;
    std::array<std::byte, 512> room;
    Extensible() { std::memset(this, 0, sizeof *this); }
};

} // namespace

bool is_seccomp_listener(int fd)
{
    std::array<char, 64> target{};
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    const ssize_t n = ::readlink(link.c_str(), target.data(), target.size());
    if (n >= 0) {
        // Only the kernel gives such a name: a file's path begins with a slash.
        return std::string_view(target.data(), static_cast<std::size_t>(n)) ==
               "anon_inode:seccomp notify";
    }
    // Without a /proc: anonymous inodes have no file type, so only a kernel driver answers the
    // ioctl. A listener answers ENOENT for an id that it never issued.
    struct stat found {
    };
    const std::uint64_t no_id = 0;
    return ::fstat(fd, &found) == 0 && (found.st_mode & S_IFMT) == 0 &&
           ::ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &no_id) != 0 && errno == ENOENT;
}

Listener::Listener(Fd fd, std::optional<bool> wait_killable)
    : fd_(std::move(fd)), wait_killable_(Known::unknown), notification_size_(0), response_size_(0)
{
    if (wait_killable) {
        learn_wait_killable(*wait_killable);
    }
    seccomp_notif_sizes sizes{};
    if (::syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) != 0) {
        throw std::system_error(errno, std::generic_category(), "seccomp(GET_NOTIF_SIZES)");
    }
    notification_size_ = std::max<std::size_t>(sizes.seccomp_notif, sizeof(seccomp_notif));
    response_size_ = std::max<std::size_t>(sizes.seccomp_notif_resp, sizeof(seccomp_notif_resp));
    if (notification_size_ > sizeof(NotificationRoom) ||
        response_size_ > sizeof(Extensible<seccomp_notif_resp>)) {
        throw std::system_error(E2BIG, std::generic_category(), "seccomp(GET_NOTIF_SIZES)");
    }
    // A seccomp filter on us may refuse ioctls that every answer needs. No notification has id 0.
    std::uint64_t none = 0;
    if (uninterrupted_ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_ID_VALID, &none) != 0 &&
        errno != ENOENT) {
        throw std::system_error(errno, std::generic_category(), "ioctl(NOTIF_ID_VALID)");
    }
    // One caller, one answer: the waker sleeps next, so wake the target on the same CPU.
    (void)::ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_SET_FLAGS, sync_wake_up);
}

Result<Notification> Listener::receive()
{
    NotificationRoom room{};
    return receive_into(room);
}

Result<Notification> Listener::receive_into(NotificationRoom &room)
{
    if (::ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_RECV, room.bytes.data()) != 0) {
        return last_error("ioctl(NOTIF_RECV)");
    }
    seccomp_notif raw;
    std::memcpy(&raw, room.bytes.data(), sizeof raw);
    Notification notification;
    notification.id = raw.id;
    notification.tid = static_cast<pid_t>(raw.pid);
    notification.arch = raw.data.arch;
    notification.nr = raw.data.nr;
    notification.instruction_pointer = raw.data.instruction_pointer;
    std::copy(std::begin(raw.data.args), std::end(raw.data.args), notification.args.begin());
    return notification;
}

bool Listener::still_valid(std::uint64_t id) const
{
    return uninterrupted_ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

Result<void> Listener::answer(std::uint64_t id, std::int64_t value)
{
    Extensible<seccomp_notif_resp> buffer;
    buffer.value.id = id;
    if (value < 0) {
        buffer.value.error = static_cast<std::int32_t>(value);
    } else {
        buffer.value.val = value;
    }
    if (uninterrupted_ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_SEND, &buffer.value) != 0) {
        return last_error("ioctl(NOTIF_SEND)");
    }
    return {};
}

Result<void> Listener::leave_to_kernel(std::uint64_t id)
{
    Extensible<seccomp_notif_resp> buffer;
    buffer.value.id = id;
    buffer.value.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    if (uninterrupted_ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_SEND, &buffer.value) == 0) {
        return {};
    }
    return errno == EINVAL ? answer(id, -ENOSYS) : last_error("ioctl(NOTIF_SEND)");
}

std::optional<bool> Listener::wait_killable() const
{
    const Known known = wait_killable_;
    return known == Known::unknown ? std::nullopt : std::optional(known == Known::yes);
}

void Listener::learn_wait_killable(bool wait_killable)
{
    wait_killable_ = wait_killable ? Known::yes : Known::no;
}

Listener::Pending Listener::wait(int other, std::chrono::milliseconds time) const
{
    std::array<pollfd, 2> files{{{fd_.get(), POLLIN, 0}, {other, POLLIN, 0}}}; // -1 is ignored
    if (::poll(files.data(), files.size(), static_cast<int>(time.count())) <= 0) {
        return Pending::none;
    }
    const short seen = files[0].revents;
    if ((seen & POLLIN) != 0) {
        return Pending::notification;
    }
    // POLLERR alone: a signal interrupted seccomp_notify_poll().
    return (seen & (POLLHUP | POLLNVAL)) != 0 ? Pending::hung_up : Pending::none;
}

} // namespace clone2
