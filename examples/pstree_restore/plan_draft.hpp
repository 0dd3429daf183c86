// SPDX-License-Identifier: MIT
// The planner's own data, shared by plan_*.cpp only.
#pragma once

#include "plan.hpp"

#include <map>
#include <set>
#include <stdexcept>

namespace pstree
{

/// No order of system calls leads to the tree; never leaves make_plan().
struct Impossible : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// When a session leader creates a child, the child's session depends on it.
enum class When { any, before_setsid, after_setsid };

/// What is decided about a node, step by step.
struct Draft {
    Node node;
    int parent = restorer; ///< in the finished tree
    int sid = 0;           ///< final session and group, in namespace 0; meaningless for
    int pgid = 0;          ///< helpers that nobody looks at
    bool any_session = false;
    bool any_group = false;

    int birth_sid = -1; ///< session to be born in; -1: doesn't matter
    int creator = restorer;
    When when = When::any;
    bool sibling = false;
    int via = -1;         ///< a temporary process that `creator` creates to create this one
    bool adopted = false; ///< `via` is a child of `creator`; else a sibling of this one
    bool is_via = false;  ///< is such a temporary process

    int born_in = -1;    ///< group to have from birth on; -1: doesn't matter
    int given_group = 0; ///< the creator moves it to this group right after birth
    int inherits_from = -1;

    [[nodiscard]] int id() const { return node.pids[0]; }
    [[nodiscard]] bool leads_session() const { return !any_session && sid == id(); }
    [[nodiscard]] bool leads_group() const { return !any_group && pgid == id(); }
    [[nodiscard]] bool is_init() const { return node.ns != 0 && node.pids.back() == 1; }
};

struct Drafts {
    const Tree &tree;
    std::vector<Draft> list;
    std::map<int, int> by_id; ///< number in namespace 0 -> index
    std::vector<int> ns_inits;

    [[nodiscard]] Draft &at(int index) { return list[static_cast<std::size_t>(index)]; }
    [[nodiscard]] const Draft &at(int index) const { return list[static_cast<std::size_t>(index)]; }
    [[nodiscard]] int ns_of(int index) const { return index == restorer ? 0 : at(index).node.ns; }
    /// Adds a helper; returns its index.
    int add(Draft draft);
    /// Adds a temporary process in `ns` for the birth of `index`.
    void add_via(int index, int ns, const std::string &name, bool adopted);
    /// Pids for a helper in `ns` that nothing else in the tree uses.
    [[nodiscard]] Pids free_pids(int ns);
    /// "process {77} (name)"
    [[nodiscard]] std::string who(int index) const;

    std::map<int, std::set<int>> used; ///< by namespace: numbers not to be chosen
    std::map<int, int> next_candidate; ///< by namespace
};

/// plan_sessions.cpp: adds helpers for absent leaders and namespaces; decides who creates whom.
void plan_sessions(Drafts &drafts);
/// plan_groups.cpp: decides which processes must have their group from birth.
void plan_groups(Drafts &drafts);
/// plan_order.cpp: puts everything in order.
Plan order_steps(Drafts &drafts);

} // namespace pstree
