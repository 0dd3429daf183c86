// SPDX-License-Identifier: MIT
// The planner's internal data, shared only by plan*.cpp.
#pragma once

#include "plan.hpp"

#include <map>
#include <set>

namespace pstree
{

/// When a session leader creates a child: the child's session depends on it.
enum class When { any, before_setsid, after_setsid };

/// What has been decided about a node, step by step.
struct Draft {
    Process node;
    std::size_t parent = restorer; ///< in the finished tree
    int sid = 0;                   ///< final session and group, in namespace 0; meaningless for
    int pgid = 0;                  ///< helpers whose ids no process looks at
    bool any_session = false;
    bool any_group = false;
    bool temporary = false;

    int birth_sid = -1; ///< session to be born in; -1: any
    std::size_t creator = restorer;
    When when = When::any;
    std::size_t between = 0;   ///< a temporary child of `creator` that creates this one and exits,
                               ///< so that `parent` adopts it; 0: none
    bool is_between = false;   ///< is such a temporary process
    int born_in = -1;          ///< group to have from birth; -1: any
    int given_group = 0;       ///< the creator moves it to this group right after its birth
    bool inherits_old = false; ///< is born before its creator leaves the creator's own first group

    [[nodiscard]] int id() const { return node.id(); }
    [[nodiscard]] bool leads_session() const { return !any_session && sid == id(); }
    [[nodiscard]] bool leads_group() const { return !any_group && pgid == id(); }
};

struct Drafts {
    const Tree &tree;
    std::vector<Draft> list = {};
    std::map<int, std::size_t> by_id = {};  ///< number in namespace 0 -> index
    std::vector<std::size_t> ns_inits = {}; ///< by namespace: the node with its pid 1

    [[nodiscard]] std::size_t ns_of(std::size_t index) const { return list[index].node.ns; }
    /// The namespace in which the creator must be, or which it must enter, for a birth.
    [[nodiscard]] std::size_t birth_ns(std::size_t index) const;
    /// Whether the process can name the other one, by its number in namespace 0, in a system call.
    [[nodiscard]] bool sees(std::size_t index, int id) const;
    /// Adds a process; returns its index.
    std::size_t add(Draft draft);
    /// A process in `ns` for the planner's own use, with pids that nothing else uses.
    [[nodiscard]] Draft helper(std::size_t ns, const std::string &name);

    std::map<std::size_t, std::set<int>> used = {}; ///< by namespace: numbers not to be chosen
};

/// plan_sessions.cpp: adds helpers for absent leaders and namespaces; decides who creates whom.
void plan_sessions(Drafts &drafts);
/// plan_groups.cpp: decides which processes must have their group from birth.
void plan_groups(Drafts &drafts);
/// plan_order.cpp: puts everything in order.
Plan order_steps(Drafts &drafts);

} // namespace pstree
