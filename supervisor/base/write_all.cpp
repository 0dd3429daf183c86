// SPDX-License-Identifier: MIT
#include "base/write_all.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace clone2
{

Rest write_all(int fd, std::string_view text)
{
    bool has_waited = false; // since the last byte
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n > 0) {
            text.remove_prefix(static_cast<std::size_t>(n));
            has_waited = false;
            continue;
        }
        const int err = n < 0 ? errno : EIO;
        if (err == EAGAIN) {
            if (has_waited) { // a terminal's last byte of room is too little for "\r\n"
                std::this_thread::sleep_for(std::chrono::milliseconds(10));
            }
            pollfd file{fd, POLLOUT, 0};
            (void)::poll(&file, 1, -1);
            has_waited = true;
        } else if (err != EINTR) {
            return {text, err};
        }
    }
    return {};
}

} // namespace clone2
