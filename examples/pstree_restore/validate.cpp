// SPDX-License-Identifier: MIT
#include "tree.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace pstree
{

namespace
{

/// Each check relies on those before it.
class Checker
{
public:
    explicit Checker(const Tree &tree) : tree_(tree), by_id_(tree.by_id()) {}

    void run()
    {
        for (const Process &process : tree_.processes) {
            check_numbers(process);
            claim(process.pids, process.ns);
            for (const Thread &thread : process.threads) {
                claim(thread.tids, process.ns);
                thread_ids_.insert(thread.tids[0]);
            }
        }
        for (const Process &process : tree_.processes) {
            check_parent(process);
        }
        check_cycles();
        for (const Process &process : tree_.processes) {
            check_session(process);
        }
        check_group_sessions();
        check_leader_numbers();
    }

private:
    static void require(bool good, const Process &process, const char *fault)
    {
        if (!good) {
            throw Failure(who(process) + ": " + fault);
        }
    }

    static void check_name(const std::string &name, const Process &process)
    {
        require(name.size() <= max_name && name.find('\0') == std::string::npos, process,
                "a name has at most 15 bytes and no NUL");
    }

    static void check_pids(const Pids &pids)
    {
        for (std::size_t level = 0; level < pids.size(); level++) {
            if (pids[level] < 1 || pids[level] >= pid_limit) {
                throw Failure("in " + to_text(pids) + " a number is out of range");
            }
            if (pids[level] == 1 && level + 1 < pids.size()) {
                throw Failure(to_text(pids) +
                              ": pid 1 of a namespace can't be in a namespace below it");
            }
        }
    }

    void check_numbers(const Process &process) const
    {
        require(process.ns < tree_.namespaces.size(), process, "there is no such pid namespace");
        const std::size_t size = tree_.level(process.ns) + 1;
        const char *one_each = "needs one number for each of its pid namespaces";
        require(process.pids.size() == size && process.pgid.size() == size &&
                    process.sid.size() == size,
                process, one_each);
        check_pids(process.pids);
        require(process.ppid >= 0 && process.ppid < pid_limit, process, "parent out of range");
        check_name(process.name, process);
        for (const Thread &thread : process.threads) {
            require(thread.tids.size() == size, process, one_each);
            check_pids(thread.tids);
            require(thread.tids.back() != 1, process, "only a thread-group leader can have pid 1");
            check_name(thread.name, process);
        }
    }

    void claim(const Pids &pids, std::size_t ns)
    {
        for (std::size_t level = 0; level < pids.size(); level++) {
            if (!claimed_.emplace(tree_.ancestor(ns, level), pids[level]).second) {
                throw Failure("number " + std::to_string(pids[level]) + " of " + to_text(pids) +
                              " is used twice");
            }
        }
    }

    [[nodiscard]] const Process *find(int id) const
    {
        const auto it = by_id_.find(id);
        return it == by_id_.end() ? nullptr : it->second;
    }

    void check_parent(const Process &process) const
    {
        require(!thread_ids_.contains(process.ppid), process, "its parent is a thread");
        const Process *parent = find(process.ppid);
        if (parent == nullptr) {
            return; // outside the tree
        }
        require(process.pids != Pids{1}, process, "pid 1 can't have a parent in the tree");
        require(tree_.sees(parent->ns, process.ns), process,
                "its parent is in a pid namespace that can't see it");
        require(!process.is_init() || parent->ns != process.ns, process,
                "pid 1 of a namespace can't have its parent in it");
    }

    void check_cycles() const
    {
        std::map<int, int> walk_of; // id -> the walk that passed
        for (const Process &start : tree_.processes) {
            for (const Process *at = &start; at != nullptr; at = find(at->ppid)) {
                const auto [it, fresh] = walk_of.emplace(at->id(), start.id());
                require(fresh || it->second != start.id(), *at, "is its own ancestor");
                if (!fresh) {
                    break;
                }
            }
        }
    }

    void check_session(const Process &process) const
    {
        const int sid = process.sid[0];
        const int pgid = process.pgid[0];
        require(pgid != 0 || sid == 0, process,
                "a process group outside can't be in a session inside");
        require(sid != process.id() || pgid == sid, process,
                "a session leader must lead its process group");
        const Process *leader = find(sid);
        require(leader == nullptr || leader->sid[0] == sid, process,
                "its session isn't that of its session's leader");
    }

    void check_group_sessions() const
    {
        std::map<int, int> session_of;
        for (const Process &process : tree_.processes) {
            session_of[process.sid[0]] = process.sid[0]; // also the leader's group
        }
        for (const Process &process : tree_.processes) {
            const int pgid = process.pgid[0];
            if (pgid == 0) {
                continue;
            }
            const Process *leader = find(pgid);
            const int sid = session_of.emplace(pgid, process.sid[0]).first->second;
            require(sid == process.sid[0] && (leader == nullptr || leader->sid[0] == sid), process,
                    "its process group would be in two sessions");
        }
    }

    void check_leader_numbers()
    {
        const std::map<int, AbsentLeader> absent = absent_leaders(tree_);
        for (const auto &[id, leader] : absent) {
            check_pids(leader.pids);
            claim(leader.pids, leader.ns);
        }
        for (const Process &process : tree_.processes) {
            for (const Pids &numbers : {process.pgid, process.sid}) {
                const int id = numbers[0];
                const Process *present = find(id);
                AbsentLeader leader; // 0: outside, and invisible at each level
                if (present != nullptr) {
                    leader = AbsentLeader{present->pids, present->ns};
                } else if (id != 0) {
                    leader = absent.at(id);
                }
                Pids seen(numbers.size(), 0); // what the process can see of its leader
                for (std::size_t i = 0; i < std::min(seen.size(), leader.pids.size()); i++) {
                    if (tree_.ancestor(process.ns, i) == tree_.ancestor(leader.ns, i)) {
                        seen[i] = leader.pids[i];
                    }
                }
                require(numbers == seen, process,
                        "its process group or session doesn't fit its leader's pids");
                require(id != process.sid[0] || tree_.sees(leader.ns, process.ns), process,
                        "its session's leader is in a namespace below its own");
            }
        }
    }

    const Tree &tree_;
    const std::map<int, const Process *> by_id_;
    std::set<std::pair<std::size_t, int>> claimed_; // (namespace, number)
    std::set<int> thread_ids_;
};

void check_size(const Tree &tree)
{
    const std::size_t tasks = tree.processes.size() + tree.thread_count();
    if (tasks == 0 || tasks > max_tasks || tree.namespaces.size() > max_tasks) {
        throw Failure("the tree has " + std::to_string(tasks) + " processes and threads, and " +
                      std::to_string(tree.namespaces.size()) + " pid namespaces; the limit is " +
                      std::to_string(max_tasks));
    }
    for (std::size_t ns = 1; ns < tree.namespaces.size(); ns++) {
        if (tree.namespaces[ns] >= ns) {
            throw Failure("pid namespace " + std::to_string(ns) +
                          ": its parent must be a namespace with a lower number");
        }
        if (tree.level(ns) >= max_depth) {
            throw Failure("pid namespaces are nested more than 32 deep");
        }
    }
    for (const Process &process : tree.processes) {
        if (process.pids.empty()) {
            throw Failure("a process without pids");
        }
    }
}

} // namespace

void validate(const Tree &tree)
{
    check_size(tree);
    Checker(tree).run();
}

} // namespace pstree
