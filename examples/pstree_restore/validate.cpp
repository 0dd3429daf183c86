// SPDX-License-Identifier: MIT
#include "tree.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace pstree
{

namespace
{

/// Leaves the checks at the first fault; never leaves this file.
struct Invalid : std::runtime_error {
    using std::runtime_error::runtime_error;
};

[[noreturn]] void fail(const std::string &message)
{
    throw Invalid(message);
}

std::string who(const Process &process)
{
    return "process " + to_text(process.pids);
}

class Checker
{
public:
    explicit Checker(const Tree &tree) : tree_(tree) {}

    void run()
    {
        check_size();
        check_namespaces();
        for (const Process &process : tree_.processes)
            check_numbers(process);
        for (const Process &process : tree_.processes)
            claim_numbers(process);
        for (const Process &process : tree_.processes)
            check_parent(process);
        check_cycles();
        for (const Process &process : tree_.processes)
            check_leaders(process);
        check_group_sessions();
        check_leader_numbers();
    }

private:
    void check_size() const
    {
        if (tree_.processes.empty())
            fail("the tree has no process");
        const std::size_t tasks = tree_.processes.size() + tree_.thread_count();
        if (tasks > max_tasks)
            fail("the tree has " + std::to_string(tasks) + " processes and threads, the limit is " +
                 std::to_string(max_tasks));
    }

    void check_namespaces()
    {
        if (tree_.namespaces.empty() || tree_.namespaces.size() > max_tasks)
            fail("the number of pid namespaces is out of range");
        levels_.assign(tree_.namespaces.size(), 0);
        for (std::size_t i = 1; i < tree_.namespaces.size(); i++) {
            const int parent = tree_.namespaces[i].parent;
            if (parent < 0 || static_cast<std::size_t>(parent) >= i)
                fail("pid namespace " + std::to_string(i) +
                     ": its parent must be a namespace with a lower number");
            levels_[i] = levels_[static_cast<std::size_t>(parent)] + 1;
            if (levels_[i] >= max_depth)
                fail("pid namespaces are nested more than " + std::to_string(max_depth) + " deep");
        }
    }

    static void check_name(const std::string &name, const std::string &owner)
    {
        if (name.size() > max_name || name.find('\0') != std::string::npos)
            fail(owner + ": a name has at most " + std::to_string(max_name) +
                 " bytes and no NUL: \"" + escape_name(name.substr(0, 40)) + "\"");
    }

    static void check_pids(const Pids &pids, std::size_t size, const std::string &owner)
    {
        if (pids.size() != size)
            fail(owner + ": needs " + std::to_string(size) + " numbers, one for each namespace");
        for (std::size_t level = 0; level < size; level++) {
            if (pids[level] < 1 || pids[level] >= pid_limit)
                fail(owner + ": pid " + std::to_string(pids[level]) + " is out of range");
            if (pids[level] == 1 && level + 1 < size)
                fail(owner + ": pid 1 of a namespace can't be in a namespace below it");
        }
    }

    static void check_leader_list(const Pids &numbers, std::size_t size, const std::string &owner)
    {
        if (numbers.size() != size)
            fail(owner + " needs " + std::to_string(size) + " numbers, one for each namespace");
        bool seen_zero = false;
        for (const int number : numbers) {
            if (number < 0 || number >= pid_limit)
                fail(owner + " " + std::to_string(number) + " is out of range");
            if (seen_zero && number != 0)
                fail(owner + ": visible in a namespace but not in the one around it");
            seen_zero = number == 0;
        }
    }

    void check_numbers(const Process &process) const
    {
        if (process.pids.empty())
            fail("a process without pids");
        const std::string owner = who(process);
        if (process.ns < 0 || static_cast<std::size_t>(process.ns) >= tree_.namespaces.size())
            fail(owner + ": there is no pid namespace " + std::to_string(process.ns));
        const std::size_t size = levels_[static_cast<std::size_t>(process.ns)] + 1;
        check_pids(process.pids, size, owner);
        check_leader_list(process.pgid, size, owner + ": process group");
        check_leader_list(process.sid, size, owner + ": session");
        if (process.ppid < 0 || process.ppid >= pid_limit)
            fail(owner + ": parent " + std::to_string(process.ppid) + " is out of range");
        check_name(process.name, owner);
        for (const Thread &thread : process.threads) {
            check_pids(thread.tids, size, owner + ", thread " + to_text(thread.tids));
            if (thread.tids.back() == 1)
                fail(owner + ": only a thread-group leader can have pid 1");
            check_name(thread.name, owner);
        }
    }

    void claim(const Pids &pids, int ns, const std::string &owner)
    {
        for (std::size_t level = pids.size(); level-- > 0;) {
            if (!claimed_.emplace(ns, pids[level]).second)
                fail(owner + ": pid " + std::to_string(pids[level]) + " is used twice" +
                     (level == 0 ? "" : " in a nested namespace"));
            ns = tree_.namespaces[static_cast<std::size_t>(ns)].parent;
        }
    }

    void claim_numbers(const Process &process)
    {
        claim(process.pids, process.ns, who(process));
        by_id_[process.id()] = &process;
        for (const Thread &thread : process.threads) {
            claim(thread.tids, process.ns, "thread " + to_text(thread.tids));
            thread_ids_.insert(thread.tids[0]);
        }
    }

    [[nodiscard]] const Process *find(int id) const
    {
        const auto it = by_id_.find(id);
        return it == by_id_.end() ? nullptr : it->second;
    }

    void check_parent(const Process &process) const
    {
        if (thread_ids_.contains(process.ppid))
            fail(who(process) + ": its parent " + std::to_string(process.ppid) + " is a thread");
        const Process *parent = find(process.ppid);
        if (parent == nullptr)
            return; // outside the tree
        if (process.pids.size() == 1 && process.pids[0] == 1)
            fail(who(process) + ": pid 1 can't have a parent in the tree");
        if (!tree_.sees(parent->ns, process.ns))
            fail(who(process) + ": its parent is in a pid namespace that can't see it");
        if (process.pids.back() == 1 && parent->ns == process.ns)
            fail(who(process) + ": pid 1 of a namespace can't have its parent in it");
    }

    void check_cycles() const
    {
        std::unordered_map<int, int> walk_of; // id -> the walk that came by
        int walk = 0;
        for (const Process &start : tree_.processes) {
            walk++;
            for (const Process *at = &start; at != nullptr; at = find(at->ppid)) {
                const auto [it, fresh] = walk_of.emplace(at->id(), walk);
                if (!fresh && it->second == walk)
                    fail(who(*at) + " is its own ancestor");
                if (!fresh)
                    break;
            }
        }
    }

    void check_leaders(const Process &process) const
    {
        const int sid = process.sid[0];
        const int pgid = process.pgid[0];
        if (pgid == 0 && sid != 0)
            fail(who(process) + ": a process group outside can't be in a session inside");
        if (sid == process.id() && pgid != sid)
            fail(who(process) + ": a session leader must lead its process group");
        const Process *leader = find(sid);
        if (leader != nullptr && leader->sid[0] != sid)
            fail(who(process) + ": process " + std::to_string(sid) +
                 " isn't the leader of session " + std::to_string(sid));
        if (leader != nullptr && !tree_.sees(leader->ns, process.ns))
            fail(who(process) + ": its session's leader is in a pid namespace below its own");
    }

    void check_group_sessions() const
    {
        std::map<int, int> session_of;
        for (const Process &process : tree_.processes)
            session_of[process.sid[0]] = process.sid[0]; // also the leader's group
        for (const Process &process : tree_.processes) {
            const int pgid = process.pgid[0];
            if (pgid == 0)
                continue;
            const Process *leader = find(pgid);
            const int sid = session_of.emplace(pgid, process.sid[0]).first->second;
            if (sid != process.sid[0] || (leader != nullptr && leader->sid[0] != sid))
                fail(who(process) + ": process group " + std::to_string(pgid) +
                     " would be in two sessions");
        }
    }

    /// What a member in `ns` sees of a leader.
    [[nodiscard]] Pids seen_from(int ns, const Pids &pids, int leader_ns) const
    {
        Pids seen(levels_[static_cast<std::size_t>(ns)] + 1, 0);
        for (std::size_t level = 0; level < std::min(seen.size(), pids.size()); level++)
            if (tree_.ancestor(ns, level) == tree_.ancestor(leader_ns, level))
                seen[level] = pids[level];
        return seen;
    }

    void check_leader_numbers()
    {
        const std::map<int, AbsentLeader> absent = absent_leaders(tree_);
        for (const auto &[id, leader] : absent) {
            check_pids(leader.pids, leader.pids.size(), "process group or session leader");
            claim(leader.pids, leader.ns, "process group or session " + std::to_string(id));
        }
        for (const Process &process : tree_.processes) {
            const auto check = [&](const Pids &numbers, const char *what, bool session) {
                if (numbers[0] == 0)
                    return;
                const Process *present = find(numbers[0]);
                const Pids &pids = present ? present->pids : absent.at(numbers[0]).pids;
                const int ns = present ? present->ns : absent.at(numbers[0]).ns;
                if (numbers != seen_from(process.ns, pids, ns))
                    fail(who(process) + ": " + what + " " + to_text(numbers) +
                         " doesn't fit its leader's pids " + to_text(pids));
                if (session && !tree_.sees(ns, process.ns))
                    fail(who(process) + ": its session's leader is in a namespace below its own");
            };
            check(process.pgid, "process group", false);
            check(process.sid, "session", true);
        }
    }

    const Tree &tree_;
    std::vector<std::size_t> levels_;
    std::set<std::pair<int, int>> claimed_; // (namespace, pid)
    std::set<int> thread_ids_;
    std::unordered_map<int, const Process *> by_id_;
};

} // namespace

std::optional<std::string> validate(const Tree &tree)
{
    try {
        Checker(tree).run();
    } catch (const Invalid &invalid) {
        return invalid.what();
    }
    return std::nullopt;
}

} // namespace pstree
