// SPDX-License-Identifier: MIT
// A process joins a group by setpgid(), unless the group's number means nothing in its pid
// namespace, because the leader is in an older one (or outside the tree). Then it must have the
// group from birth: its creator was in it, or sees it and can move the newborn there.

#include "plan_draft.hpp"

#include <vector>

namespace pstree
{

namespace
{

/// The process in between is in a pid namespace itself: it needs the group from birth in turn.
void give_early(Drafts &drafts, int index)
{
    const int via = drafts.at(index).via;
    drafts.at(via).given_group = drafts.at(index).given_group;
    drafts.at(index).given_group = 0;
    drafts.add_via(via, drafts.ns_of(drafts.at(index).creator), "relay", false);
}

} // namespace

void plan_groups(Drafts &drafts)
{
    const Tree &tree = drafts.tree;
    const auto sees_group = [&](int index, int pgid) {
        return pgid != 0 && tree.sees(drafts.ns_of(index), drafts.ns_of(drafts.by_id.at(pgid)));
    };
    std::vector<int> todo;
    const int count = static_cast<int>(drafts.list.size());
    for (int i = 0; i < count; i++) {
        Draft &draft = drafts.at(i);
        if (draft.any_group || sees_group(i, draft.pgid))
            continue;
        draft.born_in = draft.pgid;
        todo.push_back(i);
    }
    while (!todo.empty()) {
        Draft &draft = drafts.at(todo.back());
        const int index = todo.back();
        todo.pop_back();
        const int group = draft.born_in;
        if (draft.creator == restorer && group == 0)
            continue; // the restorer's own
        if (draft.when == When::after_setsid && drafts.at(draft.creator).id() == group)
            continue; // its creator leads it by then
        if (sees_group(draft.creator, group)) {
            draft.given_group = group;
            // setpgid() is for one's own children. For a sibling, another one joins the group
            // and passes it on.
            if (draft.sibling && draft.via < 0)
                drafts.add_via(index, drafts.ns_of(draft.creator), "relay", false);
            else if (draft.sibling && !sees_group(draft.via, group))
                give_early(drafts, index);
            continue;
        }
        Draft &creator = drafts.at(draft.creator);
        const bool changes = creator.any_group ? false : creator.pgid != group;
        if ((creator.born_in >= 0 && creator.born_in != group) ||
            (changes && draft.when == When::after_setsid))
            throw Impossible(drafts.who(index) + " can't be in process group " +
                             std::to_string(group) + " as a child of " + drafts.who(draft.creator));
        if (changes)
            draft.inherits_from = draft.creator; // before the creator leaves that group
        if (creator.born_in < 0) {
            creator.born_in = group;
            todo.push_back(draft.creator);
        }
    }
}

} // namespace pstree
