// SPDX-License-Identifier: MIT
#include "agent/listening_socket.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <limits>
#include <system_error>

namespace clone2::agent
{

namespace
{

[[noreturn]] void fail(const std::string &what, int err = errno)
{
    throw std::system_error(err, std::generic_category(), what);
}

sockaddr_un address_of(const std::string &path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        fail("--listen " + path, ENAMETOOLONG);
    }
    path.copy(address.sun_path, path.size());
    return address;
}

std::string lock_path(const std::string &path)
{
    return path + ".lock";
}

/// Locks PATH.lock. The previous holder may have removed the file, so check that the locked file
/// still has that name.
Fd lock(const std::string &path)
{
    const std::string name = lock_path(path);
    for (;;) {
        Fd file{::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
        if (!file) {
            fail("--listen: open(" + name + ")");
        }
        if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
            if (errno != EWOULDBLOCK) {
                fail("--listen: flock(" + name + ")");
            }
            fail("--listen " + path + ": another agent serves it", EADDRINUSE);
        }
        struct stat held {
        };
        struct stat named {
        };
        if (::fstat(file.get(), &held) == 0 && ::lstat(name.c_str(), &named) == 0 &&
            held.st_dev == named.st_dev && held.st_ino == named.st_ino) {
            return file;
        }
    }
}

/// Removes a socket that nothing serves. Call with the lock held.
void remove_stale(const std::string &path, const sockaddr_un &address)
{
    struct stat found {
    };
    if (::lstat(path.c_str(), &found) != 0) {
        return;
    }
    if (!S_ISSOCK(found.st_mode)) {
        fail("--listen " + path + ": it exists and is not a socket", EEXIST);
    }
    // Servers other than agents don't use the lock.
    const Fd probe{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (::connect(probe.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0 ||
        errno == EAGAIN) { // its queue is full
        fail("--listen " + path + ": another process serves it", EADDRINUSE);
    }
    if (errno == ECONNREFUSED && ::unlink(path.c_str()) != 0 && errno != ENOENT) {
        fail("--listen: unlink(" + path + ")");
    }
}

/// The id that the kernel shows for all unmapped users.
uid_t overflow_uid()
{
    static const uid_t uid = [] {
        constexpr uid_t usual = 65534;
        uid_t found = 0;
        return std::ifstream("/proc/sys/kernel/overflowuid") >> found ? found : usual;
    }();
    return uid;
}

/// Whether our user namespace maps every user of the machine. Not cached: the map may be written
/// after the first process of the namespace has started.
bool all_users_mapped()
{
    constexpr std::uint64_t all =
        std::numeric_limits<uid_t>::max(); // the highest value is not a uid
    std::ifstream map("/proc/self/uid_map");
    std::uint64_t mapped = 0;
    for (std::uint64_t inside = 0, outside = 0, count = 0; map >> inside >> outside >> count;) {
        mapped += count;
    }
    return mapped >= all;
}

std::optional<ucred> credentials_of(int socket)
{
    ucred peer{};
    socklen_t size = sizeof peer;
    return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? std::optional(peer)
                                                                            : std::nullopt;
}

} // namespace

ListeningSocket ListeningSocket::bind(const std::string &path, bool for_all)
{
    const sockaddr_un address = address_of(path);
    const std::size_t slash = path.rfind('/');
    if (slash != std::string::npos && slash > 0) {
        (void)::mkdir(path.substr(0, slash).c_str(), 0755); // if this fails, open() reports it
    }
    Fd held = lock(path);
    remove_stale(path, address);
    Fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!socket) {
        fail("socket()");
    }
    // bind() creates the file with this mode; a later chmod() by name might hit another file.
    const mode_t before = ::umask(for_all ? 0111 : 0177);
    const int bound =
        ::bind(socket.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address);
    const int err = errno;
    ::umask(before);
    if (bound != 0) {
        fail("--listen: bind(" + path + ")", err);
    }
    ListeningSocket made(std::move(socket), std::move(held), path);
    if (::listen(made.fd(), SOMAXCONN) != 0) {
        fail("--listen: listen(" + path + ")");
    }
    return made;
}

ListeningSocket ListeningSocket::passed(Fd socket)
{
    const int flags = ::fcntl(socket.get(), F_GETFL);
    (void)::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK);
    return {std::move(socket), Fd(), std::string()};
}

void ListeningSocket::close()
{
    if (socket_ && !path_.empty()) {
        (void)::unlink(path_.c_str());
        (void)::unlink(lock_path(path_).c_str());
    }
    socket_.reset();
    lock_.reset();
}

bool is_listening_socket(int fd)
{
    int listens = 0;
    int type = 0;
    sockaddr_un address{};
    socklen_t size = sizeof listens;
    socklen_t type_size = sizeof type;
    socklen_t address_size = sizeof address;
    return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0 &&
           ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) == 0 && type == SOCK_STREAM &&
           ::getsockname(fd, reinterpret_cast<sockaddr *>(&address), &address_size) == 0 &&
           address.sun_family == AF_UNIX;
}

std::optional<uid_t> peer_uid(int socket)
{
    const std::optional<ucred> peer = credentials_of(socket);
    if (!peer || (peer->uid == overflow_uid() && !all_users_mapped())) {
        return std::nullopt;
    }
    return peer->uid;
}

pid_t peer_pid(int socket)
{
    const std::optional<ucred> peer = credentials_of(socket);
    return peer ? peer->pid : 0;
}

} // namespace clone2::agent
