// SPDX-License-Identifier: MIT
#include "base/procfs.hpp"

#include "base/pid_list.hpp"
#include "base/printable.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <linux/mount.h>
#include <memory>
#include <string_view>
#include <system_error>

namespace clone2
{

namespace
{

std::optional<std::string> read_all(const Fd &file)
{
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
        if (n < 0) {
            return std::nullopt;
        }
        if (n == 0) {
            return text;
        }
        text.append(buffer.data(), static_cast<std::size_t>(n));
    }
}

/// Mounts a procfs that is attached nowhere (5.2; needs CAP_SYS_ADMIN).
Fd mount_private_procfs()
{
    const Fd context{static_cast<int>(::syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC))};
    if (!context ||
        ::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
        return {};
    }
    return Fd{static_cast<int>(::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, 0))};
}

} // namespace

std::optional<std::string> status_value(const std::string &status, const char *field)
{
    const std::string key = std::string("\n") + field + ":";
    const std::size_t at = status.find(key);
    if (at == std::string::npos) {
        return std::nullopt;
    }
    const std::size_t begin = status.find_first_not_of(" \t", at + key.size());
    const std::size_t end = status.find('\n', at + 1);
    if (begin == std::string::npos || end == std::string::npos || begin >= end) {
        return std::string();
    }
    return status.substr(begin, end - begin);
}

bool shows_own_pids(int root)
{
    const Fd file{::openat(root, "self/status", O_RDONLY | O_CLOEXEC)};
    if (!file) {
        return false; // this procfs does not show our pid namespace
    }
    const std::optional<std::string> status = read_all(file);
    // Without pid namespaces there is no such line.
    const std::optional<std::string> pids = status ? status_value(*status, "NSpid") : std::nullopt;
    return status && (!pids || pid_list(*pids).size() == 1);
}

bool proc_shows_own_pids()
{
    const Fd root{::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    return root && shows_own_pids(root.get());
}

char state_in_stat(const std::string &stat)
{
    // "4711 (comm) S ...": comm may contain any bytes.
    const std::size_t end = stat.rfind(") ");
    return end == std::string::npos || end + 2 >= stat.size() ? '\0' : stat[end + 2];
}

std::string comm_in_status(const std::string &status)
{
    constexpr std::string_view label = "Name:\t";
    std::string comm;
    if (status.compare(0, label.size(), label) != 0) {
        return comm;
    }
    // The kernel writes a newline as "\n" and a backslash as two.
    for (std::size_t i = label.size(); i < status.size() && status[i] != '\n'; ++i) {
        const bool escaped = status[i] == '\\' && i + 1 < status.size();
        i += escaped ? 1 : 0;
        comm += escaped && status[i] == 'n' ? '\n' : status[i];
    }
    return comm;
}

Procfs::Procfs()
{
    errno = 0;
    root_ = Fd{::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (root_ && shows_own_pids(root_.get())) {
        return;
    }
    if (is_lack_of_descriptors(errno)) {
        throw std::system_error(errno, std::generic_category(), "open(/proc)");
    }
    root_ = mount_private_procfs();
    if (!root_ || !shows_own_pids(root_.get())) {
        throw std::system_error(ENOENT, std::generic_category(),
                                "/proc does not show this pid namespace and none could be mounted");
    }
}

Result<Fd> Procfs::open(pid_t tid, const char *name, int flags) const
{
    const std::string path = std::to_string(tid) + "/" + name;
    Fd fd = spare_fds_.open([&] { return ::openat(root_.get(), path.c_str(), flags | O_CLOEXEC); });
    if (!fd) {
        return last_error("open(/proc)", tid);
    }
    return fd;
}

std::uint64_t Procfs::namespace_inode(pid_t tid, const char *name) const
{
    const std::string path = std::to_string(tid) + "/ns/" + name;
    std::array<char, 64> link{}; // "pid:[4026531836]"
    // Half as expensive as stat(2), which creates an inode.
    const ssize_t n = ::readlinkat(root_.get(), path.c_str(), link.data(), link.size());
    const std::string_view text(link.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
    std::uint64_t inode = 0;
    if (const std::size_t at = text.find('['); at != std::string_view::npos) {
        (void)std::from_chars(text.data() + at + 1, text.data() + text.size(), inode);
    }
    return inode;
}

Result<std::string> Procfs::read(pid_t tid, const char *name) const
{
    const Result<Fd> fd = open(tid, name, O_RDONLY);
    if (!fd) {
        return fd.error();
    }
    std::optional<std::string> text = read_all(*fd);
    if (!text) {
        return last_error("read(/proc)", tid);
    }
    return std::move(*text);
}

std::optional<std::string> Procfs::read_if_alive(pid_t tid, const char *name) const
{
    Result<std::string> text = read(tid, name);
    return text ? std::optional(std::move(*text)) : std::nullopt;
}

std::optional<std::string> Procfs::status_field(pid_t tid, const char *field) const
{
    const std::optional<std::string> status = read_if_alive(tid, "status");
    return status ? status_value(*status, field) : std::nullopt;
}

char Procfs::state(pid_t tid) const
{
    return state_in_stat(read_if_alive(tid, "stat").value_or(""));
}

std::vector<pid_t> Procfs::pids() const
{
    std::vector<pid_t> found;
    Fd fd = spare_fds_.open(
        [&] { return ::openat(root_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
    const std::unique_ptr<DIR, int (*)(DIR *)> dir(fd ? ::fdopendir(fd.get()) : nullptr,
                                                   ::closedir);
    if (!dir) {
        return found;
    }
    (void)fd.release();
    while (const dirent *entry = ::readdir(dir.get())) {
        const std::string_view name = entry->d_name;
        pid_t pid = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (error == std::errc() && end == name.data() + name.size()) {
            found.push_back(pid);
        }
    }
    return found;
}

std::string Procfs::comm(pid_t tid) const
{
    std::string text = read_if_alive(tid, "comm").value_or("");
    if (!text.empty() && text.back() == '\n') {
        text.pop_back();
    }
    return text;
}

std::string Procfs::name_of(pid_t tid) const
{
    return std::to_string(tid) + " \"" + printable(comm(tid), "\\\"") + "\"";
}

} // namespace clone2
