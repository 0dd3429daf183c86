// SPDX-License-Identifier: MIT
#pragma once

#include "tree.hpp"

#include <vector>

namespace pstree
{

/// The process that restores: node 0 of a plan. Its pid, group and session count as 0, like
/// everything outside the tree.
inline constexpr std::size_t restorer = 0;

/// One system call of one process. Steps are performed one after another, in the plan's order.
struct Step {
    enum class Kind {
        birth,     ///< `actor` creates `node` by clone2
        setsid,    ///< `actor` calls setsid()
        setpgid,   ///< `actor` calls setpgid(pid, pgid)
        subreaper, ///< `actor` becomes one or, with !on, stops being one
        finish,    ///< `node` exits, its parent `actor` reaps it
        threads,   ///< `actor` creates its threads
        settle,    ///< `actor` ends with its parent from now on
    };
    Kind kind;
    std::size_t actor = restorer;
    std::size_t node = restorer;
    bool new_ns = false;          ///< birth: CLONE_NEWPID
    std::size_t enter = restorer; ///< birth: first setns() to this one's pid namespace, if given
    int pid = 0;                  ///< setpgid: in the actor's namespace, 0 for itself
    int pgid = 0;                 ///< setpgid: likewise
    bool on = false;              ///< subreaper
};

struct Plan {
    /// The restorer, then the tree's processes in its order; then helpers, which a finished tree
    /// doesn't show: stand-ins for leaders that are gone, holders of a group.
    std::vector<Process> nodes;
    std::vector<Step> steps;
};

/// Plans how to create `tree`, which must be valid and must not use number 1 in namespace 0.
/// `taken`: numbers in use in namespace 0, which helpers must avoid. Pure: makes no system calls.
/// Fails if it finds no order of system calls that leads to the tree.
Plan make_plan(const Tree &tree, const std::vector<int> &taken);

} // namespace pstree
