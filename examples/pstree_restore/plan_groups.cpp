// SPDX-License-Identifier: MIT
// A process joins a group with setpgid(), unless the group has no number in its pid namespace
// because the leader is in an older one (or outside the tree). Then it must have the group from
// birth: its creator was in the group, or sees it and can move the newborn there.

#include "plan_draft.hpp"

namespace pstree
{

void plan_groups(Drafts &drafts)
{
    std::vector<std::size_t> todo;
    for (std::size_t i = 1; i < drafts.list.size(); i++) {
        Draft &draft = drafts.list[i];
        if (!draft.any_group && !drafts.sees(i, draft.pgid)) {
            draft.born_in = draft.pgid;
            todo.push_back(i);
        }
    }
    while (!todo.empty()) {
        Draft &draft = drafts.list[todo.back()];
        Draft &creator = drafts.list[draft.creator];
        todo.pop_back();
        const int group = draft.born_in;
        const bool after_setsid = draft.when == When::after_setsid;
        if (after_setsid && creator.id() == group) {
            continue; // its creator already leads it
        }
        if (drafts.sees(draft.creator, group)) {
            draft.given_group = group;
            continue;
        }
        const bool leaves = !creator.any_group && creator.pgid != group;
        if ((creator.born_in >= 0 && creator.born_in != group) || (leaves && after_setsid)) {
            throw Failure(who(draft.node) + " can't be in process group " + std::to_string(group) +
                          " as a child of " + who(creator.node));
        }
        draft.inherits_old = leaves;
        if (creator.born_in < 0) {
            creator.born_in = group;
            todo.push_back(draft.creator);
        }
    }
}

} // namespace pstree
