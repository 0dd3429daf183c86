// SPDX-License-Identifier: MIT
#pragma once

#include "base/procfs.hpp"
#include "plan/planner.hpp"
#include "target/namespaces.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>

namespace clone2
{

/// Chooses the pids for 0 entries that clone3 can't leave to the kernel: those younger than a
/// chosen one, as in {77, 0}. Thread-safe.
///
/// A guess costs nothing when it is right: next after the last one given out here, or after the
/// caller's own pid. Only when the kernel finds a pid in use is /proc searched for what is.
class PidPicker
{
public:
    explicit PidPicker(std::shared_ptr<const Procfs> procfs) : procfs_(std::move(procfs)) {}

    /// Fills the entries of `set_tid` named by the bits of `to_pick`.
    /// `extra`: leading entries of set_tid that stand for namespaces not in `target.chain`
    /// (1 with CLONE_NEWPID).
    void pick(pid_t tid, const TargetNamespaces &target, std::uint64_t to_pick, unsigned extra,
              std::span<pid_t> set_tid);

    /// After EEXIST: 0 where every chosen entry (not in `to_pick`) is free as far as /proc shows,
    /// so that other picks may help: they are in `set_tid` now. Else the pid that is in use.
    [[nodiscard]] pid_t repick(const TargetNamespaces &target, std::uint64_t to_pick,
                               unsigned extra, std::span<pid_t> set_tid);

private:
    using Used = std::set<pid_t>;

    pid_t next(std::uint64_t inode, pid_t fallback, const Used &used);
    [[nodiscard]] Used used_in(std::uint64_t inode, std::size_t depth) const;

    std::shared_ptr<const Procfs> procfs_;
    std::mutex mutex_;
    std::map<std::uint64_t, pid_t> last_; ///< per namespace inode: the last pick
};

} // namespace clone2
