// SPDX-License-Identifier: MIT
// Decides which process creates which. A process is born in its creator's session. So a child of P
// in another session than P's was
//  - created before P called setsid: P itself must then be born in that session; or
//  - adopted by P: the leader of that session, somewhere below P, creates a temporary process that
//    creates the child and exits, with P as the (sub)reaper.

#include "plan_draft.hpp"

#include <deque>
#include <utility>

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
        add_absent_leaders();
        add_absent_inits();
        add_relays();
        for (std::size_t i = 1; i < drafts_.list.size(); i++) {
            Draft &draft = at(i);
            draft.creator = draft.parent;
            if (!draft.any_session && !draft.leads_session()) {
                draft.birth_sid = draft.sid;
                todo_.push_back(i);
            }
        }
        while (!todo_.empty()) {
            const std::size_t index = todo_.front();
            todo_.pop_front();
            choose_creator(index);
        }
        for (const Draft &draft : drafts_.list) {
            const std::size_t creator = draft.between != 0 ? draft.between : draft.creator;
            if (draft.node.is_init() && drafts_.ns_of(creator) != around(draft)) {
                throw Failure(who(draft.node) + " can't get its pid namespace from its parent's");
            }
        }
    }

private:
    [[nodiscard]] Draft &at(std::size_t index) { return drafts_.list[index]; }
    [[nodiscard]] const Draft &at(std::size_t index) const { return drafts_.list[index]; }

    [[nodiscard]] std::size_t around(const Draft &init) const
    {
        return tree_.namespaces[init.node.ns];
    }

    /// Whether `above` is an ancestor of the process, or the process itself.
    [[nodiscard]] bool below(std::size_t above, std::size_t index) const
    {
        while (index != above && index != restorer) {
            index = at(index).parent;
        }
        return index == above;
    }

    /// Outside the tree: its children are then children of an outside process, like the restorer's.
    [[nodiscard]] bool outside(std::size_t index) const
    {
        return index == restorer || index > tree_.processes.size();
    }

    /// An absent session leader goes below the lowest process that is an ancestor of all who need
    /// it.
    void add_absent_leaders()
    {
        const std::map<int, AbsentLeader> absent = absent_leaders(tree_);
        std::map<int, std::size_t> home; // session -> that process
        std::map<int, int> session_of;   // by group
        for (const Draft &draft : drafts_.list) {
            session_of[draft.pgid] = draft.sid;
            if (!absent.contains(draft.sid) || at(draft.parent).sid == draft.sid) {
                continue;
            }
            std::size_t &place = home.try_emplace(draft.sid, draft.parent).first->second;
            while (!below(place, draft.parent)) {
                place = at(place).parent;
            }
        }
        for (auto &[sid, place] : home) {
            const AbsentLeader &leader = absent.at(sid);
            while (!tree_.sees(drafts_.ns_of(place), leader.ns)) {
                place = at(place).parent;
            }
            add_stand_in(leader, sid, place);
        }
        for (const auto &[id, leader] : absent) {
            if (!home.contains(id)) {
                const int sid = session_of.at(id);
                add_stand_in(leader, sid, drafts_.by_id.at(sid));
            }
        }
    }

    void add_stand_in(const AbsentLeader &leader, int sid, std::size_t parent)
    {
        Draft draft;
        draft.node.pids = leader.pids;
        draft.node.ns = leader.ns;
        draft.node.name = "stand-in";
        draft.temporary = !draft.node.is_init(); // a namespace dies with its pid 1
        draft.sid = sid;
        draft.pgid = draft.id();
        draft.parent = !draft.temporary && sid == draft.id() ? restorer : parent;
        if (!tree_.sees(drafts_.ns_of(draft.parent), leader.ns)) {
            throw Failure("process group " + std::to_string(draft.id()) +
                          ": its leader's namespace can't be reached from its session's");
        }
        drafts_.add(std::move(draft));
    }

    void add_absent_inits()
    {
        drafts_.ns_inits.assign(tree_.namespaces.size(), restorer);
        for (std::size_t i = 1; i < drafts_.list.size(); i++) {
            if (at(i).node.is_init()) {
                drafts_.ns_inits[drafts_.ns_of(i)] = i;
            }
        }
        for (std::size_t ns = 1; ns < tree_.namespaces.size(); ns++) {
            if (drafts_.ns_inits[ns] == restorer) {
                Draft helper = drafts_.helper(tree_.namespaces[ns], "init");
                helper.node.ns = ns;
                helper.node.pids.push_back(1);
                drafts_.ns_inits[ns] = drafts_.add(std::move(helper));
            }
        }
    }

    /// CLONE_NEWPID creates a namespace below the creator's own, wherever its children are born. So
    /// a pid 1 whose parent is outside gets a parent in the namespace around it.
    void add_relays()
    {
        for (std::size_t i = 1, count = drafts_.list.size(); i < count; i++) {
            const Draft &draft = at(i);
            if (!draft.node.is_init() || !outside(draft.parent) ||
                drafts_.ns_of(draft.parent) == around(draft)) {
                continue;
            }
            Draft relay = drafts_.helper(around(draft), "relay");
            relay.parent = draft.parent;
            relay.sid = draft.sid;
            relay.any_session = draft.any_session || draft.leads_session();
            const std::size_t added = drafts_.add(std::move(relay)); // the list grows
            at(i).parent = added;
        }
    }

    void choose_creator(std::size_t index)
    {
        Draft &draft = at(index);
        const int sid = draft.birth_sid;
        const std::size_t leader = drafts_.by_id.at(sid);
        const std::size_t init = drafts_.ns_inits[drafts_.ns_of(leader)];
        if (draft.parent == restorer && outside(init)) {
            draft.parent = draft.creator = init; // also outside, and can adopt there
        }
        Draft &parent = at(draft.parent);
        // If a process entered a namespace with setns(), the init there adopts its orphans.
        const bool by_init =
            parent.node.is_init() && tree_.sees(drafts_.ns_of(leader), parent.node.ns);
        // It may also be in a group that the init neither belongs to nor sees.
        const bool strange_group = !draft.any_group && draft.pgid != parent.pgid &&
                                   !drafts_.sees(draft.parent, draft.pgid);
        const bool from_below =
            leader != restorer && leader != draft.parent && below(draft.parent, leader);
        if (parent.sid == sid && !(by_init && strange_group)) {
            draft.when = parent.leads_session() ? When::after_setsid : When::any;
        } else if (from_below || by_init) {
            adopt(index, leader);
        } else if (parent.leads_session() && (parent.birth_sid < 0 || parent.birth_sid == sid)) {
            draft.when = When::before_setsid;
            if (parent.birth_sid < 0) {
                parent.birth_sid = sid;
                todo_.push_back(draft.parent);
            }
        } else {
            throw Failure(who(draft.node) + " can't be in session " + std::to_string(sid) +
                          " as a child of " + who(parent.node));
        }
    }

    void adopt(std::size_t index, std::size_t leader)
    {
        const std::size_t parent = at(index).parent;
        const std::size_t ns = drafts_.ns_of(at(parent).node.is_init() ? parent : leader);
        if (!tree_.sees(drafts_.ns_of(leader), ns) || drafts_.ns_of(parent) != ns) {
            throw Failure(who(at(index).node) + " can't be in session " +
                          std::to_string(at(index).birth_sid) +
                          ": its parent can't adopt from there");
        }
        Draft between = drafts_.helper(ns, "adopter");
        between.temporary = between.is_between = true;
        between.parent = between.creator = leader;
        const std::size_t added = drafts_.add(std::move(between)); // the list grows
        at(index).between = added;
        at(index).creator = leader;
        at(index).when = leader == restorer ? When::any : When::after_setsid;
    }

    Drafts &drafts_;
    const Tree &tree_;
    std::deque<std::size_t> todo_;
};

} // namespace

void plan_sessions(Drafts &drafts)
{
    Sessions(drafts).plan();
}

} // namespace pstree
