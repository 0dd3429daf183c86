// SPDX-License-Identifier: MIT
#include "cli/descriptors.hpp"

#include "base/fd.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <string_view>
#include <system_error>

namespace clone2::cli
{

void occupy_standard()
{
    for (;;) {
        const int fd = ::open("/dev/null", O_PATH | O_CLOEXEC);
        if (fd > STDERR_FILENO || fd < 0) {
            ::close(fd);
            return;
        }
    }
}

Result<void> try_room_for_descriptors()
{
    std::array<Fd, 11> opened; // of the wrapper: four socket pairs, two signalfds and the log
    for (Fd &fd : opened) {
        fd = Fd{::open("/dev/null", O_PATH | O_CLOEXEC)};
        if (!fd && errno == EMFILE) {
            return last_error("11 more descriptors");
        }
    }
    return {};
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
    // Refused, or missing from this kernel (before 5.9).
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

} // namespace clone2::cli
