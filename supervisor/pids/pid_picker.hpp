// SPDX-License-Identifier: MIT
#pragma once

#include "base/procfs.hpp"
#include "pids/pid_users.hpp"
#include "target/namespaces.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>

namespace clone2
{

/// Chooses the pids for 0 entries that clone3 can't leave to the kernel: those in a namespace
/// younger than that of a chosen pid, as in {77, 0}. Thread-safe.
///
/// A right guess costs nothing: it is the pid after the last one picked here, or after the caller's
/// own. /proc is searched for used pids only if the kernel finds a pid in use.
class PidPicker
{
public:
    explicit PidPicker(std::shared_ptr<const Procfs> procfs) : procfs_(std::move(procfs)) {}

    /// Fills the entries of `set_tid` whose bits are set in `to_pick`. `extra`: the number of
    /// leading set_tid entries for namespaces not in `target.chain` (1 with CLONE_NEWPID).
    void pick(pid_t tid, const TargetNamespaces &target, std::uint64_t to_pick, unsigned extra,
              std::span<pid_t> set_tid);

    /// After EEXIST: the pid that is in use, if the caller chose it. 0 if /proc shows every chosen
    /// entry (not in `to_pick`) as free: then `set_tid` has new picks, which may work. nullopt:
    /// there are none.
    [[nodiscard]] std::optional<pid_t> repick(const TargetNamespaces &target, std::uint64_t to_pick,
                                              unsigned extra, std::span<pid_t> set_tid);

    /// After EINVAL: wraps one pick that may have been too high for its namespace, innermost first,
    /// and remembers that. False: no pick can have been too high, so none was.
    [[nodiscard]] bool wrap(const TargetNamespaces &target, std::uint64_t to_pick, unsigned extra,
                            std::span<pid_t> set_tid);
    /// The call was refused for something else: takes back what wrap() did for it.
    void unwrap(const TargetNamespaces &target, std::uint64_t to_pick, unsigned extra,
                std::span<const pid_t> set_tid);

private:
    using Used = std::set<pid_t>;

    /// The picks in one namespace.
    struct Counter {
        pid_t last;
        /// One that was too high. The namespace's own pid_max (6.14) can't be read from here, and
        /// is at most this. 0: none was.
        pid_t too_high = 0;
    };

    std::optional<pid_t> next(std::uint64_t inode, pid_t fallback, const Used &used);
    [[nodiscard]] Used used_in(const PlaceInChain &place) const;

    std::shared_ptr<const Procfs> procfs_;
    std::mutex mutex_;
    std::map<std::uint64_t, Counter> counters_; ///< by namespace inode; only hints
};

} // namespace clone2
