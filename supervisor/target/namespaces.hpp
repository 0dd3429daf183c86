// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "base/procfs.hpp"
#include "base/result.hpp"
#include "plan/planner.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// Finds out what only the target's /proc files show: the pid namespaces of its next child, and the
/// caller's privilege over them. Slow (some 20 system calls); used only if a plan or a log needs
/// it.

namespace clone2
{

/// The effective uid in the text of a status file, in our user namespace. Thread-safe.
[[nodiscard]] std::optional<uid_t> euid_in_status(const std::string &status);

/// One pid namespace on the path from the child's up to the supervisor's own.
struct PidNamespace {
    std::shared_ptr<Fd> fd; ///< null: created by unshare(CLONE_NEWPID), no init yet
    std::uint64_t inode = 0;
    bool privileged = false; ///< the target may choose pids here
};

/// A target's namespaces at one moment.
struct TargetNamespaces {
    /// The namespaces of the next child, innermost first, ending with the supervisor's own. Those
    /// further out can't be seen from here.
    std::vector<PidNamespace> chain;
    unsigned level = 0;             ///< of chain.front(), absolute
    uid_t uid = 0;                  ///< the target's effective uid, in our user namespace
    bool privileged_beyond = false; ///< over the namespaces outside the supervisor's own

    /// The planner's facts for a call that asks for `nr_pids` pids.
    [[nodiscard]] Facts facts(std::uint32_t nr_pids) const;
};

/// What a log says of a caller.
struct CallerDetails {
    std::string comm;              ///< raw bytes
    std::optional<unsigned> level; ///< absolute, of its next child; nullopt: it is gone
    std::optional<uid_t> uid;      ///< effective, in our user namespace; nullopt: it is gone
    std::optional<TargetNamespaces> below; ///< if the next child is in a namespace below ours
};

/// Inspects targets. Thread-safe after construction.
class NamespaceInspector
{
public:
    /// Finds the supervisor's own nesting level with a probe that has no side effects.
    explicit NamespaceInspector(std::shared_ptr<const Procfs> procfs);

    /// Returns an Error with target_gone() if the target has died.
    [[nodiscard]] Result<TargetNamespaces> inspect(pid_t tid) const;
    /// Costs eight system calls if the next child is to be in our own pid namespace, else some 20.
    [[nodiscard]] CallerDetails details_of(pid_t tid) const;
    /// Whether the target's next child is to be in the supervisor's own pid namespace, not in one
    /// below. One system call. False also if the target is gone.
    [[nodiscard]] bool creates_in_ours(pid_t tid) const
    {
        return own_pidns_ != 0 && procfs_->namespace_inode(tid, "pid_for_children") == own_pidns_;
    }
    /// The supervisor's own absolute nesting level.
    [[nodiscard]] unsigned own_level() const { return own_level_; }

private:
    /// `status`: the text of its status file, read just before.
    [[nodiscard]] Result<TargetNamespaces> inspect(pid_t tid, const std::string &status) const;

    std::shared_ptr<const Procfs> procfs_;
    unsigned own_level_;
    std::uint64_t own_pidns_;
    bool in_initial_userns_;
};

} // namespace clone2
