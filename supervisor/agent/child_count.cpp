// SPDX-License-Identifier: MIT
#include "agent/child_count.hpp"

#include "base/pid_list.hpp"
#include "base/thread_pidfd.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <linux/sched.h>
#include <string>
#include <utility>

namespace clone2::agent
{

namespace
{

std::vector<pid_t> pids_in_namespaces(const Procfs &procfs, pid_t pid)
{
    return pid_list(procfs.status_field(pid, "NSpid").value_or(""));
}

/// Before 6.9 only of a thread that leads its process.
int open_pidfd(pid_t tid)
{
    const int pidfd = open_thread_pidfd(tid);
    return pidfd < 0 && errno == EINVAL ? static_cast<int>(::syscall(SYS_pidfd_open, tid, 0))
                                        : pidfd;
}

bool ended(const Fd &pidfd)
{
    pollfd polled{pidfd.get(), POLLIN, 0};
    return ::poll(&polled, 1, 0) == 1;
}

} // namespace

void ChildCount::forget_ended()
{
    std::erase_if(alive_, ended);
    // A caller killed in the middle of its call will never report a result.
    std::erase_if(under_way_, [](const auto &call) {
        const auto &[tid, known] = call;
        return known.caller ? ended(known.caller) : ::kill(tid, 0) != 0 && errno == ESRCH;
    });
}

bool ChildCount::admit(pid_t tid, std::uint64_t notification, std::uint32_t most)
{
    // If the caller is gone by now, this is another thread's; but then the call is not made.
    Fd caller = procfs_->spare_fds().open([tid] { return open_pidfd(tid); });
    const std::lock_guard lock(mutex_);
    under_way_.erase(tid);
    forget_ended();
    if (alive_.size() + under_way_.size() >= most) {
        return false;
    }
    under_way_.insert_or_assign(tid, Call{notification, std::move(caller)});
    return true;
}

void ChildCount::not_made(pid_t tid, std::uint64_t notification)
{
    const std::lock_guard lock(mutex_);
    const auto call = under_way_.find(tid);
    if (call != under_way_.end() && call->second.notification == notification) {
        under_way_.erase(call);
    }
}

void ChildCount::finished(pid_t tid, std::int64_t result, std::uint64_t flags)
{
    const std::lock_guard lock(mutex_);
    if (under_way_.erase(tid) == 0 || result <= 0) {
        return;
    }
    Fd child = find_child(tid, static_cast<pid_t>(result), flags);
    if (child && !ended(child)) {
        alive_.push_back(std::move(child));
    }
}

Fd ChildCount::find_child(pid_t parent, pid_t pid, std::uint64_t flags) const
{
    const std::size_t level = pids_in_namespaces(*procfs_, parent).size();
    if ((flags & CLONE_PARENT) != 0) {
        const auto its_parent = pid_list(procfs_->status_field(parent, "PPid").value_or(""));
        parent = its_parent.empty() ? 0 : its_parent.front();
    }
    // The thread itself made the child, so it is in its list of children (CONFIG_PROC_CHILDREN),
    // the newest last.
    const auto children =
        procfs_->read_if_alive(parent, ("task/" + std::to_string(parent) + "/children").c_str());
    const bool listed = children && (flags & CLONE_PARENT) == 0;
    const std::vector<pid_t> candidates = listed ? pid_list(*children) : procfs_->pids();
    for (auto candidate = candidates.rbegin(); candidate != candidates.rend(); ++candidate) {
        Fd pidfd = procfs_->spare_fds().open(
            [&] { return static_cast<int>(::syscall(SYS_pidfd_open, *candidate, 0)); });
        // Read its pids after the pidfd is open: then both are of the same process.
        const std::vector<pid_t> pids = pids_in_namespaces(*procfs_, *candidate);
        if (pidfd && level > 0 && pids.size() >= level && pids[level - 1] == pid) {
            const auto its_parent =
                pid_list(procfs_->status_field(*candidate, "PPid").value_or(""));
            const auto tgid = pid_list(procfs_->status_field(parent, "Tgid").value_or(""));
            if (!its_parent.empty() && its_parent == tgid) {
                return pidfd;
            }
        }
    }
    return {};
}

} // namespace clone2::agent
