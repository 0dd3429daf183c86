// SPDX-License-Identifier: MIT
#include "image/code_check.hpp"

#include "target/mappings.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace clone2
{

namespace
{

constexpr std::size_t remembered = 16;
constexpr unsigned pidfd_thread = O_EXCL; // PIDFD_THREAD, newer than Debian 12's headers (6.9)

bool holds_code(const std::optional<Mapping> &mapping)
{
    return mapping && mapping->readable && mapping->executable && !mapping->shared;
}

bool lives(const Fd &pidfd)
{
    pollfd end{pidfd.get(), POLLIN, 0};
    return ::poll(&end, 1, 0) == 0;
}

} // namespace

bool may_hold_code(const Procfs &procfs, pid_t tid, RemotePtr code)
{
    return holds_code(mapping_at(procfs, tid, code));
}

bool CodeCheck::may_run(pid_t tid, RemotePtr code)
{
    if (!mapping_query_is_cheap()) {
        return true;
    }
    if (const std::shared_ptr<const Files> files = files_of(tid)) {
        // Asked first: the thread is the caller if it still lives after that.
        const std::optional<Mapping> mapping = query_mapping(files->maps, code);
        if (lives(files->pidfd)) {
            return holds_code(mapping);
        }
        forget(tid);
    }
    return may_hold_code(*procfs_, tid, code);
}

std::shared_ptr<const CodeCheck::Files> CodeCheck::files_of(pid_t tid)
{
    std::uint64_t forgotten = 0;
    {
        const std::lock_guard lock(mutex_);
        const auto known = find(tid);
        if (known == callers_.end()) {
            if (callers_.size() == remembered) {
                callers_.pop_back();
            }
            callers_.push_front({tid, nullptr});
            return nullptr;
        }
        callers_.splice(callers_.begin(), callers_, known);
        if (known->files) {
            return known->files;
        }
        forgotten = forgotten_;
    }
    // First: then the other file is this thread's if this one lives later.
    Fd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, tid, pidfd_thread))};
    Result<Fd> maps = procfs_->open(tid, "maps", O_RDONLY);
    if (!pidfd || !maps) {
        return nullptr;
    }
    auto files = std::make_shared<const Files>(Files{std::move(*maps), std::move(pidfd)});
    const std::lock_guard lock(mutex_);
    const auto known = find(tid);
    if (known != callers_.end() && forgotten == forgotten_) {
        known->files = files;
    }
    return files;
}

std::list<CodeCheck::Caller>::iterator CodeCheck::find(pid_t tid)
{
    return std::find_if(callers_.begin(), callers_.end(),
                        [tid](const Caller &caller) { return caller.tid == tid; });
}

void CodeCheck::forget(pid_t tid)
{
    const std::lock_guard lock(mutex_);
    std::erase_if(callers_, [tid](const Caller &caller) { return caller.tid == tid; });
}

void CodeCheck::forget_all()
{
    const std::lock_guard lock(mutex_);
    ++forgotten_;
    callers_.clear();
}

} // namespace clone2
