// SPDX-License-Identifier: MIT
#include "agent/seccomp_fd.hpp"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <linux/seccomp.h>
#include <string>
#include <string_view>

namespace clone2::agent
{

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

} // namespace clone2::agent
