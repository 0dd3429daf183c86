// SPDX-License-Identifier: MIT
// Who creates whom. A process is born in its creator's session. So a child of P in another session
// than P's was
//  - created before P called setsid: P itself must then be born in that session; or
//  - adopted by P: created below P by a process of that session whose child it no longer is. With
//    CLONE_PARENT a child of P can create one; anyone deeper goes through a temporary process
//    that exits, with P as the (sub)reaper.

#include "plan_draft.hpp"

#include <algorithm>
#include <deque>

namespace pstree
{

namespace
{

class Sessions
{
public:
    explicit Sessions(Drafts &drafts) : drafts_(drafts), tree_(drafts.tree) {}

    void plan()
    {
        number_tree();
        add_absent_leaders();
        add_absent_inits();
        for (int i = 0; i < static_cast<int>(drafts_.list.size()); i++) {
            Draft &draft = drafts_.at(i);
            draft.creator = draft.parent;
            if (!draft.any_session && !draft.leads_session())
                draft.birth_sid = draft.sid;
            if (draft.birth_sid >= 0)
                todo_.push_back(i);
        }
        while (!todo_.empty()) {
            const int index = todo_.front();
            todo_.pop_front();
            choose_creator(index);
        }
        const int count = static_cast<int>(drafts_.list.size());
        for (int i = 0; i < count; i++)
            if (drafts_.at(i).is_init())
                check_new_namespace(i);
    }

private:
    /// Preorder numbers: whether one process is an ancestor of another is asked often.
    void number_tree()
    {
        const std::size_t count = drafts_.list.size();
        std::vector<std::vector<int>> children(count);
        std::vector<int> todo;
        for (std::size_t i = 0; i < count; i++) {
            if (drafts_.list[i].parent == restorer)
                todo.push_back(static_cast<int>(i));
            else
                children[static_cast<std::size_t>(drafts_.list[i].parent)].push_back(
                    static_cast<int>(i));
        }
        first_.assign(count, 0);
        last_.assign(count, 0);
        std::vector<int> order;
        while (!todo.empty()) {
            const int index = todo.back();
            todo.pop_back();
            first_[static_cast<std::size_t>(index)] = static_cast<int>(order.size());
            order.push_back(index);
            const auto &below = children[static_cast<std::size_t>(index)];
            todo.insert(todo.end(), below.begin(), below.end());
        }
        for (std::size_t i = count; i-- > 0;) { // children come after their parents in `order`
            const auto index = static_cast<std::size_t>(order[i]);
            last_[index] = std::max(last_[index], static_cast<int>(i));
            const int parent = drafts_.list[index].parent;
            if (parent != restorer) {
                int &end = last_[static_cast<std::size_t>(parent)];
                end = std::max(end, last_[index]);
            }
        }
    }

    /// Is `above` the process itself or an ancestor? Only for the tree's own processes.
    [[nodiscard]] bool in_subtree(int above, int index) const
    {
        if (above == restorer || above == index)
            return true;
        if (index == restorer)
            return false;
        const int first = first_[static_cast<std::size_t>(index)];
        return first_[static_cast<std::size_t>(above)] <= first &&
               first <= last_[static_cast<std::size_t>(above)];
    }

    [[nodiscard]] bool proper_descendant(int index, int above) const
    {
        // Helpers are not numbered: ask for the tree's process that is their parent.
        if (static_cast<std::size_t>(index) >= first_.size())
            return in_subtree(above, drafts_.at(index).parent);
        return index != above && in_subtree(above, index);
    }

    /// Absent session leaders go below the lowest process that has all who need them below it.
    void add_absent_leaders()
    {
        const std::map<int, AbsentLeader> absent = absent_leaders(tree_);
        std::map<int, int> home; // session -> that process
        std::map<int, int> session_of;
        for (const Draft &draft : drafts_.list) {
            session_of[draft.pgid] = draft.sid;
            if (!absent.contains(draft.sid))
                continue;
            if (draft.parent != restorer && drafts_.at(draft.parent).sid == draft.sid)
                continue;
            int &place = home.try_emplace(draft.sid, draft.parent).first->second;
            while (!in_subtree(place, draft.parent))
                place = drafts_.at(place).parent;
        }
        for (auto &[sid, place] : home) {
            const AbsentLeader &leader = absent.at(sid);
            Draft helper = stand_in(leader);
            while (place != restorer && (!tree_.sees(drafts_.ns_of(place), leader.ns) ||
                                         (helper.is_init() && drafts_.ns_of(place) == leader.ns)))
                place = drafts_.at(place).parent;
            helper.parent = place;
            helper.sid = helper.pgid = sid;
            drafts_.add(std::move(helper));
        }
        for (const auto &[id, leader] : absent) {
            if (home.contains(id))
                continue;
            Draft helper = stand_in(leader);
            helper.sid = session_of.at(id);
            helper.pgid = id;
            if (helper.sid != 0)
                helper.parent = drafts_.by_id.at(helper.sid);
            if (!tree_.sees(drafts_.ns_of(helper.parent), leader.ns))
                throw Impossible("process group " + std::to_string(id) +
                                 ": its leader's namespace can't be reached from its session's");
            drafts_.add(std::move(helper));
        }
    }

    static Draft stand_in(const AbsentLeader &leader)
    {
        Draft helper;
        helper.node = Node{leader.pids, leader.ns, "stand-in", {}, true};
        helper.node.temporary = !helper.is_init(); // a namespace dies with its pid 1
        return helper;
    }

    void add_absent_inits()
    {
        drafts_.ns_inits.assign(tree_.namespaces.size(), -1);
        for (int i = 0; i < static_cast<int>(drafts_.list.size()); i++)
            if (drafts_.at(i).is_init())
                drafts_.ns_inits[static_cast<std::size_t>(drafts_.at(i).node.ns)] = i;
        for (int ns = 1; ns < static_cast<int>(tree_.namespaces.size()); ns++) {
            int &init = drafts_.ns_inits[static_cast<std::size_t>(ns)];
            if (init >= 0)
                continue;
            Draft helper;
            helper.node = Node{
                drafts_.free_pids(tree_.ancestor(ns, tree_.level(ns) - 1)), ns, "init", {}, false};
            helper.node.pids.push_back(1);
            helper.any_session = helper.any_group = true;
            init = drafts_.add(std::move(helper));
        }
    }

    void choose_creator(int index)
    {
        Draft &draft = drafts_.at(index);
        const int sid = draft.birth_sid;
        if (draft.parent == restorer) {
            if (sid != 0)
                adopt(index, drafts_.by_id.at(sid));
            return;
        }
        Draft &parent = drafts_.at(draft.parent);
        const int leader = sid == 0 ? restorer : drafts_.by_id.at(sid);
        // A process that entered a namespace by setns() has its orphans adopted by the init there.
        const bool by_init = parent.is_init() && tree_.sees(drafts_.ns_of(leader), parent.node.ns);
        // It may also be in a group that the init neither is in nor sees.
        const bool strange_group = !draft.any_group && draft.pgid != parent.pgid &&
                                   !sees_process(draft.parent, draft.pgid);
        if (by_init && strange_group) {
            adopt(index, leader);
            return;
        }
        if (parent.sid == sid) {
            draft.when = parent.leads_session() ? When::after_setsid : When::any;
            return;
        }
        const bool from_below = leader != restorer && proper_descendant(leader, draft.parent);
        if (from_below || by_init) {
            adopt(index, leader);
            return;
        }
        if (!parent.leads_session() || (parent.birth_sid >= 0 && parent.birth_sid != sid))
            throw Impossible(drafts_.who(index) + " can't be in session " + std::to_string(sid) +
                             " as a child of " + drafts_.who(draft.parent));
        draft.when = When::before_setsid;
        if (parent.birth_sid < 0) {
            parent.birth_sid = sid;
            todo_.push_back(draft.parent);
        }
    }

    [[nodiscard]] bool sees_process(int index, int id) const
    {
        return id != 0 && tree_.sees(drafts_.ns_of(index), drafts_.ns_of(drafts_.by_id.at(id)));
    }

    /// CLONE_NEWPID makes a namespace below the creator's own, wherever its children are born.
    void check_new_namespace(int index)
    {
        const Draft &draft = drafts_.at(index);
        const int around = tree_.namespaces[static_cast<std::size_t>(draft.node.ns)].parent;
        if (drafts_.ns_of(draft.via >= 0 ? draft.via : draft.creator) == around)
            return;
        if (draft.via >= 0)
            throw Impossible(drafts_.who(index) + " can't get its pid namespace from where it " +
                             "would be adopted from");
        drafts_.add_via(index, around, "relay", false);
    }

    void adopt(int index, int leader)
    {
        Draft &draft = drafts_.at(index);
        draft.creator = leader;
        draft.when = leader == restorer ? When::any : When::after_setsid;
        if (leader != restorer && created_directly(draft, leader))
            return;
        const int leader_ns = drafts_.ns_of(leader);
        const bool by_init = draft.parent != restorer && drafts_.at(draft.parent).is_init();
        const int ns = by_init ? drafts_.ns_of(draft.parent) : leader_ns;
        if (!tree_.sees(leader_ns, ns) || drafts_.ns_of(draft.parent) != ns)
            throw Impossible(drafts_.who(index) + " can't be in session " +
                             std::to_string(draft.birth_sid) +
                             ": its parent can't adopt from there");
        drafts_.add_via(index, ns, "adopter", true);
    }

    /// Can the session's leader create it without another process in between?
    bool created_directly(Draft &draft, int leader) const
    {
        const Draft &source = drafts_.at(leader);
        if (!source.is_init()) {
            draft.sibling = source.parent == draft.parent;
            return draft.sibling;
        }
        // The kernel refuses CLONE_PARENT to a pid namespace's init. One that only stands in for
        // a process outside the tree may as well be the parent itself.
        const bool stands_in = static_cast<std::size_t>(leader) >= first_.size();
        return stands_in && draft.parent == restorer && source.parent == restorer;
    }

    Drafts &drafts_;
    const Tree &tree_;
    std::deque<int> todo_;
    std::vector<int> first_, last_;
};

} // namespace

void plan_sessions(Drafts &drafts)
{
    Sessions(drafts).plan();
}

} // namespace pstree
