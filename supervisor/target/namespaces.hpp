// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "base/procfs.hpp"
#include "base/result.hpp"
#include "plan/planner.hpp"

#include <cstdint>
#include <memory>
#include <vector>

/// What only a look at the target tells: the pid namespaces its child would be born in and the
/// caller's privilege over them. Slow (some 20 system calls); asked for where a plan needs it.

namespace clone2
{

/// One pid namespace on the way from the child's up to the supervisor's own.
struct PidNamespace {
    std::shared_ptr<Fd> fd; ///< null: born by unshare(CLONE_NEWPID), without an init so far
    std::uint64_t inode = 0;
    bool privileged = false; ///< the target may choose pids here
};

/// A target's view, of one moment.
struct TargetNamespaces {
    /// The namespaces of the child to be, innermost first, ending with the supervisor's own;
    /// those further out can't be seen from here.
    std::vector<PidNamespace> chain;
    unsigned level = 0;             ///< of chain.front(), absolute
    bool privileged_beyond = false; ///< for the namespaces older than the supervisor's own

    /// The planner's facts for a call that asks for `nr_pids` pids.
    [[nodiscard]] Facts facts(std::uint32_t nr_pids) const;
};

/// Looks at targets. Thread-safe after construction.
class NamespaceInspector
{
public:
    /// Finds out the supervisor's own nesting level by a probe without side effects.
    explicit NamespaceInspector(std::shared_ptr<const Procfs> procfs);

    /// Error with target_gone() when the target died meanwhile.
    [[nodiscard]] Result<TargetNamespaces> inspect(pid_t tid) const;
    /// The supervisor's own absolute nesting level.
    [[nodiscard]] unsigned own_level() const { return own_level_; }

private:
    std::shared_ptr<const Procfs> procfs_;
    unsigned own_level_;
    std::uint64_t own_pidns_;
    bool in_initial_userns_;
};

/// The nesting level of the calling process's pid namespace, 0 for the initial one: clone3 gives
/// EINVAL exactly for more set_tid entries than there are levels, before any other check of
/// pids, and pid 1 is always in use. -1 where clone3 with set_tid is refused (before 5.5,
/// Docker's older profiles).
[[nodiscard]] int probe_nesting_level();

} // namespace clone2
