// SPDX-License-Identifier: MIT
// A process can't choose its session or its pid namespace, it only inherits them; and a process
// group has to exist before it can be joined. So the question is who creates whom, and when.
// The rules used are those of setsid(2), setpgid(2), clone(2), setns(2) and of reparenting.

#include "plan_draft.hpp"

#include <algorithm>

namespace pstree
{

int Drafts::add(Draft draft)
{
    const int index = static_cast<int>(list.size());
    by_id[draft.id()] = index;
    list.push_back(std::move(draft));
    return index;
}

void Drafts::add_via(int index, int ns, const std::string &name, bool adopted)
{
    Draft via;
    via.node = Node{free_pids(ns), ns, name, {}, true};
    via.any_session = via.any_group = via.is_via = true;
    via.creator = at(index).creator;
    via.sibling = at(index).sibling && !adopted;
    via.parent = adopted || !at(index).sibling ? at(index).creator : at(index).parent;
    const int added = add(std::move(via)); // before at(): the list grows
    at(index).via = added;
    at(index).adopted = adopted;
}

Pids Drafts::free_pids(int ns)
{
    Pids pids;
    for (std::size_t level = 0; level <= tree.level(ns); level++) {
        const int space = tree.ancestor(ns, level);
        auto [it, fresh] = used.try_emplace(space);
        if (fresh) {
            const std::vector<int> numbers = used_numbers(tree, space);
            it->second.insert(numbers.begin(), numbers.end());
        }
        int &candidate = next_candidate.try_emplace(space, 2).first->second;
        while (it->second.contains(candidate))
            candidate++;
        pids.push_back(candidate++);
    }
    return pids;
}

std::string Drafts::who(int index) const
{
    return "process " + to_text(at(index).node.pids) + " (" + escape_name(at(index).node.name) +
           ")";
}

namespace
{

/// A namespace's pid 1 ends once no other number is in use there. The number of a group that it
/// is in itself always is: it would hang in its exit for good, not even killable (seen on 6.18).
void check_end(const Drafts &drafts, int index)
{
    const Draft &draft = drafts.at(index);
    const Process &process = drafts.tree.processes[static_cast<std::size_t>(index)];
    if (draft.is_init() && process.pgid.back() > 1)
        throw Impossible(drafts.who(index) + ": a pid namespace whose pid 1 is in another's " +
                         "process group could never end again");
}

} // namespace

std::variant<Plan, std::string> make_plan(const Tree &tree, const std::vector<int> &taken)
try {
    Drafts drafts{
        .tree = tree, .list = {}, .by_id = {}, .ns_inits = {}, .used = {}, .next_candidate = {}};
    for (const Process &process : tree.processes) {
        Draft draft;
        draft.node = Node{process.pids, process.ns, process.name, process.threads, false};
        draft.sid = process.sid[0];
        draft.pgid = process.pgid[0];
        drafts.add(std::move(draft));
    }
    for (std::size_t i = 0; i < tree.processes.size(); i++) {
        const auto parent = drafts.by_id.find(tree.processes[i].ppid);
        if (parent != drafts.by_id.end())
            drafts.list[i].parent = parent->second;
    }
    const std::vector<int> numbers = used_numbers(tree, 0);
    drafts.used[0].insert(numbers.begin(), numbers.end());
    drafts.used[0].insert(taken.begin(), taken.end());
    if (std::binary_search(numbers.begin(), numbers.end(), 1))
        return "pid 1 of the outermost namespace is taken";

    for (int i = 0; i < static_cast<int>(tree.processes.size()); i++)
        check_end(drafts, i);

    plan_sessions(drafts);
    plan_groups(drafts);
    return order_steps(drafts);
} catch (const Impossible &impossible) {
    return impossible.what();
}

} // namespace pstree
