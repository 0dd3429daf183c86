// SPDX-License-Identifier: MIT
#include "cli/wire.hpp"

#include "base/diagnostics.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <string_view>
#include <system_error>

namespace clone2::cli
{

SocketPair make_socket_pair()
{
    std::array<int, 2> fds{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0) {
        throw std::system_error(errno, std::generic_category(), "socketpair()");
    }
    return {Fd(fds[0]), Fd(fds[1])};
}

bool send_message(const Fd &socket, std::span<const std::byte> message, int fd)
{
    iovec data{const_cast<std::byte *>(message.data()), message.size()};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
    if (fd >= 0) {
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        cmsghdr *const rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    }
    ssize_t n = 0;
    do {
        n = ::sendmsg(socket.get(), &header, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n == static_cast<ssize_t>(message.size());
}

std::optional<Fd> receive_message(const Fd &socket, std::span<std::byte> message)
{
    iovec data{message.data(), message.size()};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    ssize_t n = 0;
    do {
        n = ::recvmsg(socket.get(), &header, MSG_CMSG_CLOEXEC);
        // ECONNRESET comes once, before what the other end had sent, if that ended without
        // having read all of ours.
    } while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    Fd fd;
    if (n >= 0) {
        const cmsghdr *const rights = CMSG_FIRSTHDR(&header);
        if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS &&
            rights->cmsg_len == CMSG_LEN(sizeof(int))) {
            int received = -1;
            std::memcpy(&received, CMSG_DATA(rights), sizeof received);
            fd = Fd(received);
        }
    }
    if (n != static_cast<ssize_t>(message.size())) {
        return std::nullopt;
    }
    return fd;
}

struct sigaction ignore_file_limit()
{
    struct sigaction ignore {
    };
    struct sigaction inherited {
    };
    ignore.sa_handler = SIG_IGN;
    if (::sigaction(SIGXFSZ, &ignore, &inherited) != 0) {
        throw std::system_error(errno, std::generic_category(), "sigaction()");
    }
    return inherited;
}

InheritedSignals take_over_signals(const struct sigaction &sigxfsz)
{
    InheritedSignals inherited;
    inherited.sigxfsz = sigxfsz;
    sigset_t handled = forwarded_signals();
    sigaddset(&handled, SIGCHLD);
    // A signal that is not blocked would never be seen by signalfd.
    if (::sigprocmask(SIG_BLOCK, &handled, &inherited.mask) != 0) {
        throw std::system_error(errno, std::generic_category(), "sigprocmask()");
    }
    struct sigaction standard {
    };
    standard.sa_handler = SIG_DFL;
    // An ignored SIGCHLD would have the kernel reap before we can look.
    ::sigaction(SIGCHLD, &standard, &inherited.sigchld);
    return inherited;
}

void restore_signals(const InheritedSignals &inherited)
{
    ::sigaction(SIGCHLD, &inherited.sigchld, nullptr);
    ::sigaction(SIGXFSZ, &inherited.sigxfsz, nullptr);
    ::sigprocmask(SIG_SETMASK, &inherited.mask, nullptr);
}

void raise_limits()
{
    for (const auto resource :
         {RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_AS, RLIMIT_NOFILE, RLIMIT_NPROC}) {
        rlimit limit{};
        if (::getrlimit(resource, &limit) == 0) {
            limit.rlim_cur = limit.rlim_max;
            ::setrlimit(resource, &limit);
        }
    }
}

void close_standard(int fd)
{
    const Fd null{::open("/dev/null", O_RDWR | O_CLOEXEC)};
    if (null && null.get() != fd && ::dup2(null.get(), fd) < 0) {
        throw std::system_error(errno, std::generic_category(), "dup2()");
    }
}

namespace
{

void close_between(unsigned first, unsigned last)
{
    if (::close_range(first, last, 0) == 0) {
        return;
    }
    // Refused, or not in this kernel (5.9).
    const std::unique_ptr<DIR, int (*)(DIR *)> dir(::opendir("/proc/self/fd"), ::closedir);
    if (!dir) {
        throw std::system_error(errno, std::generic_category(), "close_range(), /proc/self/fd");
    }
    std::vector<unsigned> open;
    while (const dirent *entry = ::readdir(dir.get())) {
        const std::string_view name = entry->d_name;
        unsigned fd = 0;
        if (std::from_chars(name.data(), name.data() + name.size(), fd).ec == std::errc() &&
            first <= fd && fd <= last && fd != static_cast<unsigned>(::dirfd(dir.get()))) {
            open.push_back(fd);
        }
    }
    for (const unsigned fd : open) {
        ::close(static_cast<int>(fd));
    }
}

} // namespace

void close_others(std::vector<int> kept)
{
    std::sort(kept.begin(), kept.end());
    int from = STDERR_FILENO + 1;
    for (const int fd : kept) {
        if (fd > from) {
            close_between(static_cast<unsigned>(from), static_cast<unsigned>(fd - 1));
        }
        from = std::max(from, fd + 1);
    }
    close_between(static_cast<unsigned>(from), ~0U);
}

void fail(const std::string &message)
{
    Diagnostics::line(message);
    ::_exit(own_failure);
}

} // namespace clone2::cli
