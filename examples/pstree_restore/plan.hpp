// SPDX-License-Identifier: MIT
#pragma once

#include "tree.hpp"

#include <string>
#include <variant>
#include <vector>

namespace pstree
{

/// The process that restores; everywhere else processes are indices into Plan::nodes.
inline constexpr int restorer = -1;

/// A process to create. The first ones are the tree's, in its order; then come helpers, which a
/// finished tree doesn't show: stand-ins for leaders that are gone, holders of a group.
struct Node {
    Pids pids;
    int ns = 0;
    std::string name;
    std::vector<Thread> threads;
    bool temporary = false;
};

/// One system call of one process. They are done one after the other, in the plan's order.
struct Step {
    enum class Kind {
        birth,     ///< `actor` creates `node` by clone2
        setsid,    ///< `actor` does
        setpgid,   ///< `actor` calls setpgid(pid, pgid)
        subreaper, ///< `actor` becomes one or, with !on, ceases to be
        finish,    ///< `node` exits, its parent `actor` reaps it
        threads,   ///< `actor` creates its threads
    };
    Kind kind;
    int actor = restorer;
    int node = restorer;
    bool sibling = false; ///< birth: CLONE_PARENT
    bool new_ns = false;  ///< birth: CLONE_NEWPID
    int enter_ns = -1;    ///< birth: the namespace to setns() to before, or -1: the actor's own
    int pid = 0;          ///< setpgid: in the actor's namespace, 0 for itself
    int pgid = 0;         ///< setpgid: likewise
    bool on = false;      ///< subreaper
};

struct Plan {
    std::vector<Node> nodes;
    std::vector<int> ns_inits; ///< by namespace number: the node with its pid 1; -1 for number 0
    std::vector<Step> steps;
};

/// How to create `tree`, which must be valid and must not use number 1 in namespace 0. `taken` are
/// numbers in use in namespace 0, which helpers must keep clear of. Pure: makes no system call.
/// Answers in words when no order of system calls can lead to the tree.
std::variant<Plan, std::string> make_plan(const Tree &tree, const std::vector<int> &taken);

} // namespace pstree
