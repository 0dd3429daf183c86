// SPDX-License-Identifier: MIT
#include "image/code_check.hpp"

#include "base/thread_pidfd.hpp"
#include "target/mappings.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

#include <algorithm>

namespace clone2
{

namespace
{

/// How many callers are remembered: two descriptors each, together at most a 32nd of those that
/// this process may have.
std::size_t remembered()
{
    constexpr rlim_t most = 16;
    constexpr rlim_t descriptors_for_each = 64;
    rlimit limit{};
    return ::getrlimit(RLIMIT_NOFILE, &limit) != 0
               ? most
               : std::min(most, limit.rlim_cur / descriptors_for_each);
}

bool holds_code(const Mapping &mapping)
{
    return mapping.readable && mapping.executable && !mapping.shared;
}

bool lives(const Fd &pidfd)
{
    pollfd end{pidfd.get(), POLLIN, 0};
    return ::poll(&end, 1, 0) == 0;
}

} // namespace

Result<bool> may_hold_code(const Procfs &procfs, pid_t tid, RemotePtr code)
{
    const Result<Mapping> mapping = mapping_at(procfs, tid, code);
    if (!mapping && mapping.error().no_descriptor()) {
        return mapping.error();
    }
    return mapping && holds_code(*mapping);
}

CodeCheck::CodeCheck(std::shared_ptr<const Procfs> procfs)
    : procfs_(std::move(procfs)), most_(remembered()),
      keeper_(procfs_->spare_fds(), [this] { forget_all(); })
{
    (void)mapping_query_is_cheap(); // takes a descriptor the first time
}

Result<bool> CodeCheck::may_run(pid_t tid, RemotePtr code)
{
    if (!mapping_query_is_cheap()) {
        return true;
    }
    if (const std::shared_ptr<const Files> files = files_of(tid)) {
        // Asked first: the thread is the caller if it still lives after that.
        const std::optional<Mapping> mapping = query_mapping(files->maps, code);
        if (lives(files->pidfd)) {
            return mapping && holds_code(*mapping);
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
            callers_.push_front({tid, nullptr});
            if (callers_.size() > most_) {
                callers_.pop_back();
            }
            return nullptr;
        }
        callers_.splice(callers_.begin(), callers_, known);
        if (known->files) {
            return known->files;
        }
        forgotten = forgotten_;
    }
    // First: then the other file is this thread's if this one lives later.
    Fd pidfd{open_thread_pidfd(tid)};
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
