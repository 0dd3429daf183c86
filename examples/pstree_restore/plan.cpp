// SPDX-License-Identifier: MIT
// A process can't choose its session or pid namespace; it inherits them. A process group must exist
// before a process can join it. So the question is which process creates which, and when. The rules
// are those of setsid(2), setpgid(2), clone(2), setns(2) and of reparenting.

#include "plan_draft.hpp"

#include <utility>

namespace pstree
{

std::size_t Drafts::birth_ns(std::size_t index) const
{
    const Process &node = list[index].node;
    return node.is_init() ? tree.namespaces[node.ns] : node.ns;
}

bool Drafts::sees(std::size_t index, int id) const
{
    return id != 0 && tree.sees(ns_of(index), ns_of(by_id.at(id)));
}

std::size_t Drafts::add(Draft draft)
{
    by_id[draft.id()] = list.size();
    list.push_back(std::move(draft));
    return list.size() - 1;
}

Draft Drafts::helper(std::size_t ns, const std::string &name)
{
    Draft helper;
    helper.any_session = helper.any_group = true;
    helper.node.ns = ns;
    helper.node.name = name;
    for (std::size_t level = 0; level <= tree.level(ns); level++) {
        std::set<int> &numbers = used[tree.ancestor(ns, level)];
        int pid = 2;
        while (numbers.contains(pid)) {
            pid++;
        }
        numbers.insert(pid);
        helper.node.pids.push_back(pid);
    }
    return helper;
}

Plan make_plan(const Tree &tree, const std::vector<int> &taken)
{
    Drafts drafts{tree};
    for (std::size_t ns = 0; ns < tree.namespaces.size(); ns++) {
        const std::vector<int> numbers = used_numbers(tree, ns);
        drafts.used[ns].insert(numbers.begin(), numbers.end());
    }
    drafts.used[0].insert(taken.begin(), taken.end());

    Draft self;
    self.node.pids = {0};
    self.node.name = "the restorer";
    self.born_in = 0;
    drafts.add(std::move(self));
    for (const Process &process : tree.processes) {
        // A namespace's pid 1 ends once no other number is in use there. The number of a group that
        // it belongs to always is: pid 1 would hang in its exit forever, unkillable (seen on 6.18).
        if (process.is_init() && process.pgid.back() > 1) {
            throw Failure(who(process) + ": a pid namespace whose pid 1 is in another's process " +
                          "group could never end again");
        }
        Draft draft;
        draft.node = process;
        draft.sid = process.sid[0];
        draft.pgid = process.pgid[0];
        drafts.add(std::move(draft));
    }
    for (Draft &draft : drafts.list) {
        const auto parent = drafts.by_id.find(draft.node.ppid);
        draft.parent = parent == drafts.by_id.end() ? restorer : parent->second;
    }
    plan_sessions(drafts);
    plan_groups(drafts);
    return order_steps(drafts);
}

} // namespace pstree
