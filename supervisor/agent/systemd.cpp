// SPDX-License-Identifier: MIT
#include "agent/systemd.hpp"

#include "base/fd_message.h"

#include <fcntl.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace clone2::agent
{

namespace
{

constexpr int first_passed = 3;   // SD_LISTEN_FDS_START
constexpr int max_passed = 65536; // more than any sensible FileDescriptorStoreMax

std::optional<long> number(const char *text)
{
    long value = 0;
    const char *const end = text + std::strlen(text);
    const auto [at, error] = std::from_chars(text, end, value);
    return error == std::errc() && at == end && text != end ? std::optional(value) : std::nullopt;
}

} // namespace

PassedNames decode_passed(pid_t self, const char *pid, const char *count, const char *names)
{
    if (pid == nullptr || count == nullptr || number(pid) != self) {
        return {};
    }
    const long fds = number(count).value_or(0);
    if (fds <= 0 || fds > max_passed) {
        return {};
    }
    PassedNames passed{static_cast<int>(fds), {}};
    std::string_view rest = names != nullptr ? names : "";
    for (long i = 0; i < fds; ++i) {
        const std::size_t colon = rest.find(':');
        const std::string_view name = rest.substr(0, colon);
        passed.names.emplace_back(name.empty() ? "unknown" : name);
        rest = colon == std::string_view::npos ? "" : rest.substr(colon + 1);
    }
    return passed;
}

std::vector<PassedFd> take_passed_fds()
{
    const PassedNames passed =
        decode_passed(::getpid(), std::getenv("LISTEN_PID"), std::getenv("LISTEN_FDS"),
                      std::getenv("LISTEN_FDNAMES"));
    std::vector<PassedFd> fds;
    for (int i = 0; i < passed.count; ++i) {
        const int fd = first_passed + i;
        if (::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) {
            fds.push_back({Fd(fd), passed.names[static_cast<std::size_t>(i)]});
        }
    }
    return fds;
}

Systemd::Systemd()
{
    const char *const path = std::getenv("NOTIFY_SOCKET");
    if (path == nullptr || (path[0] != '/' && path[0] != '@') ||
        std::strlen(path) >= sizeof(sockaddr_un::sun_path)) {
        return;
    }
    address_ = path;
    socket_ = Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

bool Systemd::notify(const std::string &state, std::span<const int> fds) const
{
    if (!socket_ || fds.size() > FDS_SENT_MAX) {
        return false;
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    address_.copy(address.sun_path, sizeof address.sun_path);
    if (address.sun_path[0] == '@') {
        address.sun_path[0] = '\0';
    }
    // Each time, because the listener there may have been replaced.
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
    return ::connect(socket_.get(), reinterpret_cast<const sockaddr *>(&address), length) == 0 &&
           send_with_fds(socket_.get(), state.data(), state.size(), fds.data(), fds.size(),
                         MSG_DONTWAIT) == static_cast<long>(state.size());
}

} // namespace clone2::agent
