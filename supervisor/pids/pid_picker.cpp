// SPDX-License-Identifier: MIT
#include "pids/pid_picker.hpp"

#include "base/pid_list.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <fstream>
#include <linux/nsfs.h>
#include <string>
#include <vector>

namespace clone2
{

namespace
{

constexpr pid_t first_after_wrap = 300; // the kernel's RESERVED_PIDS
constexpr std::size_t remembered_namespaces = 1024;

pid_t read_pid_max()
{
    std::ifstream file("/proc/sys/kernel/pid_max");
    pid_t value = 0;
    return file >> value && value > first_after_wrap ? value : 32768;
}

std::vector<pid_t> ids(const std::string &status, const char *field)
{
    return pid_list(status_value(status, field).value_or(""));
}

/// Whether the task with this pid is in the namespace `inode` or in a descendant of it.
bool is_within(const Procfs &procfs, pid_t pid, std::uint64_t inode)
{
    Result<Fd> opened = procfs.open(pid, "ns/pid", O_RDONLY);
    if (!opened) {
        return true; // a zombie shows no namespaces: assume that its pid is used
    }
    Fd ns = std::move(*opened);
    while (ns) {
        struct stat status {
        };
        if (::fstat(ns.get(), &status) == 0 && status.st_ino == inode) {
            return true;
        }
        ns = Fd{::ioctl(ns.get(), NS_GET_PARENT)};
    }
    return false;
}

} // namespace

pid_t PidPicker::next(std::uint64_t inode, pid_t fallback, const Used &used)
{
    const pid_t pid_max = read_pid_max();
    const std::lock_guard lock(mutex_);
    if (last_.size() > remembered_namespaces) {
        last_.clear(); // only hints
    }
    const auto known = last_.find(inode);
    pid_t pid = known != last_.end() ? known->second : fallback;
    for (pid_t tried = 0; tried < pid_max; ++tried) {
        pid = pid + 1 < pid_max ? pid + 1 : first_after_wrap;
        if (!used.contains(pid)) {
            break;
        }
    }
    last_[inode] = pid;
    return pid;
}

void PidPicker::pick(pid_t tid, const TargetNamespaces &target, std::uint64_t to_pick,
                     unsigned extra, std::span<pid_t> set_tid)
{
    const std::vector<pid_t> own = pid_list(procfs_->status_field(tid, "NSpid").value_or(""));
    for (std::size_t i = 0; i < set_tid.size(); ++i) {
        if ((to_pick & (1ULL << i)) == 0) {
            continue;
        }
        const std::size_t at = i - extra;
        if (at < target.chain.size() && !target.chain[at].fd) {
            set_tid[i] = 1; // a namespace without an init: its first process gets pid 1
            continue;
        }
        const std::size_t depth = target.chain.size() - 1 - at;
        const bool visible = at < target.chain.size();
        const pid_t fallback = visible && depth < own.size() ? own[depth] : first_after_wrap;
        set_tid[i] = next(visible ? target.chain[at].inode : 0, fallback, {});
    }
}

PidPicker::Used PidPicker::used_in(std::uint64_t inode, std::size_t depth) const
{
    Used used;
    for (const pid_t pid : procfs_->pids()) {
        const std::optional<std::string> status = procfs_->read_if_alive(pid, "status");
        if (!status || ids(*status, "NSpid").size() <= depth || !is_within(*procfs_, pid, inode)) {
            continue;
        }
        for (const char *field : {"NSpid", "NSpgid", "NSsid"}) {
            const std::vector<pid_t> values = ids(*status, field);
            if (depth < values.size()) {
                used.insert(values[depth]);
            }
        }
        const std::unique_ptr<DIR, int (*)(DIR *)> threads(
            [&]() -> DIR * {
                Result<Fd> fd = procfs_->open(pid, "task", O_RDONLY | O_DIRECTORY);
                return fd ? ::fdopendir(fd->release()) : nullptr;
            }(),
            ::closedir);
        while (const dirent *entry = threads ? ::readdir(threads.get()) : nullptr) {
            const std::string name = std::string("task/") + entry->d_name + "/status";
            const std::optional<std::string> thread = procfs_->read_if_alive(pid, name.c_str());
            const std::vector<pid_t> values = ids(thread.value_or(""), "NSpid");
            if (depth < values.size()) {
                used.insert(values[depth]);
            }
        }
    }
    return used;
}

pid_t PidPicker::repick(const TargetNamespaces &target, std::uint64_t to_pick, unsigned extra,
                        std::span<pid_t> set_tid)
{
    std::vector<Used> used(set_tid.size());
    for (std::size_t i = extra; i < set_tid.size(); ++i) {
        const std::size_t at = i - extra;
        if (at >= target.chain.size() || !target.chain[at].fd) {
            continue;
        }
        used[i] = used_in(target.chain[at].inode, target.chain.size() - 1 - at);
        if ((to_pick & (1ULL << i)) == 0 && used[i].contains(set_tid[i])) {
            return set_tid[i];
        }
    }
    for (std::size_t i = extra; i < set_tid.size(); ++i) {
        const std::size_t at = i - extra;
        if ((to_pick & (1ULL << i)) != 0 && (at >= target.chain.size() || target.chain[at].fd)) {
            set_tid[i] = next(at < target.chain.size() ? target.chain[at].inode : 0,
                              first_after_wrap, used[i]);
        }
    }
    return 0;
}

} // namespace clone2
