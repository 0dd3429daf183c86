// SPDX-License-Identifier: MIT
#include "pids/pid_users.hpp"

#include "base/pid_list.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <linux/nsfs.h>
#include <memory>
#include <utility>
#include <vector>

namespace clone2
{

namespace
{

/// NS_GET_PID_FROM_PIDNS (6.11), missing from older headers: the tid in our namespace of the task
/// that has this pid there.
constexpr unsigned long get_pid_from_pidns = _IOR(NSIO, 0x6, int);

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
        ns = procfs.spare_fds().open([&] { return ::ioctl(ns.get(), NS_GET_PARENT); });
        if (!ns && is_lack_of_descriptors(errno)) {
            return true; // not known, so the same
        }
    }
    return false;
}

std::vector<pid_t> threads_of(const Procfs &procfs, pid_t pid)
{
    std::vector<pid_t> found;
    const std::unique_ptr<DIR, int (*)(DIR *)> threads(
        [&]() -> DIR * {
            Result<Fd> fd = procfs.open(pid, "task", O_RDONLY | O_DIRECTORY);
            return fd ? ::fdopendir(fd->release()) : nullptr;
        }(),
        ::closedir);
    while (const dirent *entry = threads ? ::readdir(threads.get()) : nullptr) {
        for (const pid_t tid : pid_list(entry->d_name)) {
            if (tid != pid) {
                found.push_back(tid);
            }
        }
    }
    return found;
}

std::string describe_task(const Procfs &procfs, pid_t task)
{
    const pid_t leader = [&] {
        const std::vector<pid_t> tgid = pid_list(procfs.status_field(task, "Tgid").value_or(""));
        return tgid.empty() ? task : tgid.front();
    }();
    if (leader != task) {
        return "thread " + std::to_string(task) + " of process " + procfs.name_of(leader);
    }
    return (procfs.state(task) == 'Z' ? "zombie " : "process ") + procfs.name_of(task);
}

std::string describe_use(const Procfs &procfs, PidUse use, pid_t task)
{
    switch (use) {
    case PidUse::group:
        return "the process group of process " + procfs.name_of(task);
    case PidUse::session:
        return "the session of process " + procfs.name_of(task);
    case PidUse::process:
    case PidUse::thread:
        break;
    }
    return describe_task(procfs, task);
}

} // namespace

pid_t read_pid_max()
{
    std::ifstream file("/proc/sys/kernel/pid_max");
    pid_t value = 0;
    return file >> value && value > first_after_wrap ? value : 32768;
}

pid_t pid_here(const Procfs &procfs, pid_t tid, const TargetNamespaces &target, pid_t pid)
{
    if (target.chain.size() == 1) {
        return pid; // the target is in our own namespace
    }
    const Result<Fd> ns = procfs.open(tid, "ns/pid", O_RDONLY);
    return ns ? std::max(::ioctl(ns->get(), get_pid_from_pidns, pid), 0) : 0;
}

void find_pid_users(const Procfs &procfs, const PlaceInChain &place,
                    const std::function<bool(PidUse use, pid_t pid, pid_t task)> &found)
{
    const std::size_t depth = place.depth;
    for (const pid_t task : procfs.pids()) {
        const std::optional<std::string> status = procfs.read_if_alive(task, "status");
        if (!status || ids(*status, "NSpid").size() <= depth ||
            !is_within(procfs, task, place.ns.inode)) {
            continue;
        }
        for (const auto &[field, use] :
             {std::pair{"NSpid", PidUse::process}, std::pair{"NSsid", PidUse::session},
              std::pair{"NSpgid", PidUse::group}}) {
            const std::vector<pid_t> values = ids(*status, field);
            if (depth < values.size() && found(use, values[depth], task)) {
                return;
            }
        }
        for (const pid_t tid : threads_of(procfs, task)) {
            const std::vector<pid_t> values =
                pid_list(procfs.status_field(tid, "NSpid").value_or(""));
            if (depth < values.size() && found(PidUse::thread, values[depth], tid)) {
                return;
            }
        }
    }
}

std::optional<std::string> describe_pid_user(const Procfs &procfs, const PlaceInChain &place,
                                             pid_t pid)
{
    const pid_t task =
        place.depth == 0 ? pid : ::ioctl(place.ns.fd->get(), get_pid_from_pidns, pid);
    if (task > 0 && procfs.state(task) != '\0') {
        return describe_task(procfs, task);
    }
    std::optional<std::string> user;
    find_pid_users(procfs, place, [&](PidUse use, pid_t used, pid_t by) {
        if (used == pid) {
            user = describe_use(procfs, use, by);
        }
        return used == pid;
    });
    return user;
}

} // namespace clone2
