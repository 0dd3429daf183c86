// SPDX-License-Identifier: MIT
// What has to happen before what, and from that one order.

#include "plan_draft.hpp"

#include <functional>
#include <queue>

namespace pstree
{

namespace
{

enum Event { birth, lead, join, end, events }; // of one process; `lead`: setsid or setpgid(0, 0)

class Order
{
public:
    explicit Order(Drafts &drafts) : drafts_(drafts), tree_(drafts.tree) {}

    Plan run()
    {
        add_holders();
        const auto count = static_cast<int>(drafts_.list.size());
        after_.resize(drafts_.list.size() * events);
        waits_.assign(after_.size(), 0);
        for (int i = 0; i < count; i++)
            if (!drafts_.at(i).is_via) // those come and go within the birth that they are for
                relate(i);
        sort();
        for (int i = 0; i < count; i++)
            if (!drafts_.at(i).node.threads.empty())
                step({.kind = Step::Kind::threads, .actor = i, .node = i});
        plan_.ns_inits = drafts_.ns_inits;
        for (Draft &draft : drafts_.list)
            plan_.nodes.push_back(std::move(draft.node));
        return std::move(plan_);
    }

private:
    /// A leader that leaves the group with its own number needs someone to stay in it until all
    /// members are there.
    void add_holders()
    {
        std::map<int, int> joins; // group -> whether anybody is in it
        for (const Draft &draft : drafts_.list)
            if (!draft.any_group)
                joins[draft.pgid]++;
        const auto count = static_cast<int>(drafts_.list.size());
        for (int i = 0; i < count; i++) {
            const Draft &owner = drafts_.at(i);
            if (owner.any_group || owner.leads_group() || !joins.contains(owner.id()))
                continue;
            Draft holder;
            holder.node = Node{drafts_.free_pids(owner.node.ns), owner.node.ns, "holder", {}, true};
            holder.any_session = true;
            holder.parent = holder.creator = i;
            holder.pgid = owner.id();
            const int index = drafts_.add(std::move(holder));
            holders_[i] = index;
        }
    }

    [[nodiscard]] bool is_holder(int index) const
    {
        const auto it = holders_.find(drafts_.at(index).parent);
        return it != holders_.end() && it->second == index;
    }

    /// Does it call setsid or setpgid(0, 0)?
    [[nodiscard]] bool leads(int index) const
    {
        return drafts_.at(index).leads_group() || holders_.contains(index);
    }

    [[nodiscard]] bool joins(int index) const
    {
        const Draft &draft = drafts_.at(index);
        return !draft.any_group && !draft.leads_group() && !is_holder(index) &&
               (draft.born_in != draft.pgid || holders_.contains(index));
    }

    /// Who makes it join: itself, or its parent where it can't see the group.
    [[nodiscard]] int joiner(int index) const
    {
        const Draft &draft = drafts_.at(index);
        if (draft.born_in != draft.pgid)
            return index;
        const bool same_session =
            draft.parent == restorer ? draft.sid == 0 : drafts_.at(draft.parent).sid == draft.sid;
        const int leader = draft.pgid == 0 ? -1 : drafts_.by_id.at(draft.pgid);
        if (!same_session || leader < 0 ||
            !tree_.sees(drafts_.ns_of(draft.parent), drafts_.ns_of(leader)))
            throw Impossible(drafts_.who(index) + " leads a process group, is in another one and " +
                             "can't see that");
        return draft.parent;
    }

    static std::size_t key(int index, Event event)
    {
        return static_cast<std::size_t>(index) * events + event;
    }

    void before(int first, Event what, int then, Event what_then)
    {
        after_[key(first, what)].push_back(key(then, what_then));
        waits_[key(then, what_then)]++;
    }

    void relate(int index)
    {
        const Draft &draft = drafts_.at(index);
        const int creator = draft.creator;
        if (draft.parent != restorer && draft.parent != creator)
            before(draft.parent, birth, index, birth);
        if (creator != restorer) {
            before(creator, birth, index, birth);
            if (draft.when == When::after_setsid)
                before(creator, lead, index, birth);
            if (draft.when == When::before_setsid)
                before(index, birth, creator, lead);
            if (drafts_.at(creator).node.temporary)
                before(index, birth, creator, end);
        }
        const int entered = draft.is_init() ? parent_ns(draft.node.ns) : draft.node.ns;
        if (entered != drafts_.ns_of(creator))
            before(drafts_.ns_inits[static_cast<std::size_t>(entered)], birth, index, birth);

        if (leads(index))
            before(index, birth, index, lead);
        if (joins(index)) {
            before(index, birth, index, join);
            if (joiner(index) == draft.parent && draft.parent != restorer)
                before(draft.parent, lead, index, join); // once it is in its session
            before(drafts_.by_id.at(draft.pgid), lead, index, join);
            ends_after(draft.pgid, index, join);
            if (leads(index))
                before(index, lead, index, join);
        }
        for (int i = index; i >= 0; i = drafts_.at(i).via) {
            if (const int group = drafts_.at(i).given_group; group != 0) {
                before(drafts_.by_id.at(group), lead, index, birth);
                ends_after(group, index, birth);
            }
        }
        if (draft.inherits_from >= 0) {
            if (leads(draft.inherits_from))
                before(index, birth, draft.inherits_from, lead);
            else
                before(index, birth, draft.inherits_from, join);
        }
        if (is_holder(index)) {
            before(draft.parent, lead, index, birth);
            before(index, birth, draft.parent, join);
        }
        if (draft.node.temporary) {
            before(index, leads(index) ? lead : birth, index, end);
            if (draft.parent != restorer && drafts_.at(draft.parent).node.temporary)
                before(index, end, draft.parent, end); // its parent reaps it
        }
    }

    /// Whoever keeps `group` must not end before `event` of `index`.
    void ends_after(int group, int index, Event event)
    {
        const int owner = drafts_.by_id.at(group);
        if (drafts_.at(owner).node.temporary)
            before(index, event, owner, end);
        const auto holder = holders_.find(owner);
        if (holder != holders_.end())
            before(index, event, holder->second, end);
    }

    [[nodiscard]] int parent_ns(int ns) const
    {
        return tree_.namespaces[static_cast<std::size_t>(ns)].parent;
    }

    void sort()
    {
        std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
        std::size_t open = 0;
        for (std::size_t i = 0; i < waits_.size(); i++) {
            if (drafts_.at(static_cast<int>(i / events)).is_via)
                continue;
            open++;
            if (waits_[i] == 0)
                ready.push(i);
        }
        while (!ready.empty()) {
            const std::size_t now = ready.top();
            ready.pop();
            open--;
            emit(static_cast<int>(now / events), static_cast<Event>(now % events));
            for (const std::size_t next : after_[now])
                if (--waits_[next] == 0)
                    ready.push(next);
        }
        if (open == 0)
            return;
        for (std::size_t i = 0; i < waits_.size(); i++)
            if (waits_[i] != 0)
                throw Impossible(drafts_.who(static_cast<int>(i / events)) +
                                 ": its session, process group and pid namespace need each other "
                                 "to exist first");
    }

    void step(const Step &step) { plan_.steps.push_back(step); }

    void emit(int index, Event event)
    {
        const Draft &draft = drafts_.at(index);
        switch (event) {
        case birth:
            emit_birth(index);
            break;
        case lead:
            if (draft.leads_session())
                step({.kind = Step::Kind::setsid, .actor = index, .node = index});
            else if (leads(index))
                step({.kind = Step::Kind::setpgid, .actor = index, .node = index});
            break;
        case join:
            if (joins(index))
                step({.kind = Step::Kind::setpgid,
                      .actor = joiner(index),
                      .node = index,
                      .pid = joiner(index) == index ? 0 : number_seen_by(joiner(index), draft.id()),
                      .pgid = number_seen_by(joiner(index), draft.pgid)});
            break;
        default:
            if (draft.node.temporary)
                step({.kind = Step::Kind::finish, .actor = draft.parent, .node = index});
            break;
        }
    }

    [[nodiscard]] int number_seen_by(int index, int id) const
    {
        const Draft &seen = drafts_.at(drafts_.by_id.at(id));
        return seen.node.pids[tree_.level(drafts_.ns_of(index))];
    }

    /// Moves a newborn or, before it is born, the one that will create it.
    void emit_given_group(int index)
    {
        const Draft &draft = drafts_.at(index);
        const int moved = draft.via >= 0 ? draft.via : index;
        const int actor = draft.sibling ? moved : draft.creator;
        step({.kind = Step::Kind::setpgid,
              .actor = actor,
              .node = moved,
              .pid = actor == moved ? 0 : number_seen_by(actor, drafts_.at(moved).id()),
              .pgid = number_seen_by(actor, draft.given_group)});
    }

    [[nodiscard]] int entered_from(int creator, int ns) const
    {
        return drafts_.ns_of(creator) == ns ? -1 : ns;
    }

    void emit_birth(int index)
    {
        const Draft &draft = drafts_.at(index);
        const int via = draft.via;
        const int creator = via >= 0 ? via : draft.creator;
        const bool needs_subreaper =
            draft.adopted && draft.parent != restorer && !drafts_.at(draft.parent).is_init();
        if (needs_subreaper)
            step({.kind = Step::Kind::subreaper, .actor = draft.parent, .on = true});
        if (via >= 0) {
            emit_birth(via);
            if (draft.given_group != 0)
                emit_given_group(index);
        }
        const int ns = draft.is_init() ? parent_ns(draft.node.ns) : draft.node.ns;
        step({.kind = Step::Kind::birth,
              .actor = creator,
              .node = index,
              .sibling = via >= 0 ? !draft.adopted : draft.sibling,
              .new_ns = draft.is_init(),
              .enter_ns = entered_from(creator, ns)});
        if (via >= 0)
            step({.kind = Step::Kind::finish, .actor = drafts_.at(via).parent, .node = via});
        else if (draft.given_group != 0)
            emit_given_group(index);
        if (needs_subreaper)
            step({.kind = Step::Kind::subreaper, .actor = draft.parent, .on = false});
    }

    Drafts &drafts_;
    const Tree &tree_;
    Plan plan_;
    std::map<int, int> holders_; // leader -> the one that stays for it
    std::vector<std::vector<std::size_t>> after_;
    std::vector<int> waits_;
};

} // namespace

Plan order_steps(Drafts &drafts)
{
    return Order(drafts).run();
}

} // namespace pstree
