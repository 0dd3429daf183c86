// SPDX-License-Identifier: MIT
// Finds which steps must come before which, and from that one order.

#include "plan_draft.hpp"

#include <functional>
#include <queue>
#include <utility>

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
        const std::size_t count = drafts_.list.size();
        after_.resize(count * events);
        waits_.assign(count * events, 0);
        for (std::size_t i = 1; i < count; i++) {
            if (!at(i).is_between) { // those come and go within the birth that they are for
                relate(i);
            }
        }
        sort();
        for (std::size_t i = 1; i < count; i++) {
            if (!at(i).node.threads.empty()) {
                step({.kind = Step::Kind::threads, .actor = i, .node = i});
            }
        }
        for (std::size_t i = 1; i < count; i++) {
            if (!at(i).temporary) {
                step({.kind = Step::Kind::settle, .actor = i, .node = i});
            }
        }
        for (Draft &draft : drafts_.list) {
            plan_.nodes.push_back(std::move(draft.node));
        }
        return std::move(plan_);
    }

private:
    [[nodiscard]] const Draft &at(std::size_t index) const { return drafts_.list[index]; }

    /// If a leader leaves the group with its own number, another process must stay in the group
    /// until all members have joined.
    void add_holders()
    {
        std::set<int> joined;
        for (const Draft &draft : drafts_.list) {
            if (!draft.any_group) {
                joined.insert(draft.pgid);
            }
        }
        for (std::size_t i = 0, count = drafts_.list.size(); i < count; i++) {
            if (at(i).any_group || at(i).leads_group() || !joined.contains(at(i).id())) {
                continue;
            }
            Draft holder = drafts_.helper(drafts_.ns_of(i), "holder");
            holder.temporary = true;
            holder.parent = holder.creator = i;
            holders_[i] = drafts_.add(std::move(holder));
        }
    }

    [[nodiscard]] bool is_holder(std::size_t index) const
    {
        const auto it = holders_.find(at(index).parent);
        return it != holders_.end() && it->second == index;
    }

    /// Whether it calls setsid or setpgid(0, 0).
    [[nodiscard]] bool leads(std::size_t index) const
    {
        return at(index).leads_group() || holders_.contains(index);
    }

    [[nodiscard]] bool joins(std::size_t index) const
    {
        const Draft &draft = at(index);
        return !draft.any_group && !draft.leads_group() &&
               (draft.born_in != draft.pgid || holders_.contains(index));
    }

    /// Which process makes it join: itself, or its parent if it can't see the group.
    [[nodiscard]] std::size_t joiner(std::size_t index) const
    {
        const Draft &draft = at(index);
        if (draft.born_in != draft.pgid) {
            return index;
        }
        if (at(draft.parent).sid != draft.sid || !drafts_.sees(draft.parent, draft.pgid)) {
            throw Failure(who(draft.node) + " leads a process group, is in another one and " +
                          "can't see that");
        }
        return draft.parent;
    }

    static std::size_t key(std::size_t index, Event event) { return index * events + event; }

    void before(std::size_t first, Event what, std::size_t then, Event what_then)
    {
        after_[key(first, what)].push_back(key(then, what_then));
        waits_[key(then, what_then)]++;
    }

    void relate(std::size_t index)
    {
        const Draft &draft = at(index);
        const std::size_t creator = draft.creator;
        before(draft.parent, birth, index, birth);
        before(creator, birth, index, birth);
        before(drafts_.ns_inits[drafts_.birth_ns(index)], birth, index, birth);
        if (draft.when == When::after_setsid) {
            before(creator, lead, index, birth);
        }
        if (draft.when == When::before_setsid) {
            before(index, birth, creator, lead);
        }
        if (at(creator).temporary) {
            before(index, birth, creator, end);
        }
        if (leads(index)) {
            before(index, birth, index, lead);
        }
        if (joins(index)) {
            before(index, birth, index, join);
            if (joiner(index) == draft.parent) {
                before(draft.parent, lead, index, join); // after it is in its session
            }
            before(drafts_.by_id.at(draft.pgid), lead, index, join);
            ends_after(draft.pgid, index, join);
            if (leads(index)) {
                before(index, lead, index, join);
            }
        }
        if (draft.given_group != 0) {
            before(drafts_.by_id.at(draft.given_group), lead, index, birth);
            ends_after(draft.given_group, index, birth);
        }
        if (draft.inherits_old) {
            before(index, birth, creator, leads(creator) ? lead : join);
        }
        if (is_holder(index)) {
            before(draft.parent, lead, index, birth);
            before(index, birth, draft.parent, join);
        }
        if (draft.temporary) {
            before(index, leads(index) ? lead : birth, index, end);
            if (at(draft.parent).temporary) {
                before(index, end, draft.parent, end); // its parent reaps it
            }
        }
    }

    /// The process that keeps `group` must not end before `event` of `index`.
    void ends_after(int group, std::size_t index, Event event)
    {
        const std::size_t owner = drafts_.by_id.at(group);
        if (at(owner).temporary) {
            before(index, event, owner, end);
        }
        const auto holder = holders_.find(owner);
        if (holder != holders_.end()) {
            before(index, event, holder->second, end);
        }
    }

    void sort()
    {
        std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
        for (std::size_t i = 0; i < waits_.size(); i++) {
            if (waits_[i] == 0 && !at(i / events).is_between) {
                ready.push(i);
            }
        }
        while (!ready.empty()) {
            const std::size_t now = ready.top();
            ready.pop();
            if (now / events != restorer) {
                emit(now / events, static_cast<Event>(now % events));
            }
            for (const std::size_t next : after_[now]) {
                if (--waits_[next] == 0) {
                    ready.push(next);
                }
            }
        }
        for (std::size_t i = 0; i < waits_.size(); i++) {
            if (waits_[i] != 0) {
                throw Failure(who(at(i / events).node) +
                              ": its session, process group and pid namespace need each other "
                              "to exist first");
            }
        }
    }

    void step(const Step &step) { plan_.steps.push_back(step); }

    void emit(std::size_t index, Event event)
    {
        const Draft &draft = at(index);
        if (event == birth) {
            emit_birth(index);
        } else if (event == lead && draft.leads_session()) {
            step({.kind = Step::Kind::setsid, .actor = index, .node = index});
        } else if (event == lead && leads(index)) {
            step({.kind = Step::Kind::setpgid, .actor = index, .node = index});
        } else if (event == join && joins(index)) {
            emit_setpgid(joiner(index), index, draft.pgid);
        } else if (event == end && draft.temporary) {
            step({.kind = Step::Kind::finish, .actor = draft.parent, .node = index});
        }
    }

    void emit_setpgid(std::size_t actor, std::size_t index, int group)
    {
        const std::size_t level = tree_.level(drafts_.ns_of(actor));
        step({.kind = Step::Kind::setpgid,
              .actor = actor,
              .node = index,
              .pid = actor == index ? 0 : at(index).node.pids[level],
              .pgid = at(drafts_.by_id.at(group)).node.pids[level]});
    }

    void emit_creation(std::size_t creator, std::size_t index)
    {
        const std::size_t ns = drafts_.birth_ns(index);
        step({.kind = Step::Kind::birth,
              .actor = creator,
              .node = index,
              .new_ns = at(index).node.is_init(),
              .enter = drafts_.ns_of(creator) == ns ? restorer : drafts_.ns_inits[ns]});
    }

    void emit_birth(std::size_t index)
    {
        const Draft &draft = at(index);
        const std::size_t between = draft.between;
        const bool subreaper =
            between != 0 && draft.parent != restorer && !at(draft.parent).node.is_init();
        if (subreaper) {
            step({.kind = Step::Kind::subreaper, .actor = draft.parent, .on = true});
        }
        const std::size_t first = between != 0 ? between : index;
        emit_creation(draft.creator, first);
        if (draft.given_group != 0) {
            emit_setpgid(draft.creator, first, draft.given_group);
        }
        if (between != 0) {
            emit_creation(between, index);
            step({.kind = Step::Kind::finish, .actor = draft.creator, .node = between});
        }
        if (subreaper) {
            step({.kind = Step::Kind::subreaper, .actor = draft.parent, .on = false});
        }
    }

    Drafts &drafts_;
    const Tree &tree_;
    Plan plan_;
    std::map<std::size_t, std::size_t> holders_; // leader -> the one that stays for it
    std::vector<std::vector<std::size_t>> after_;
    std::vector<int> waits_;
};

} // namespace

Plan order_steps(Drafts &drafts)
{
    return Order(drafts).run();
}

} // namespace pstree
