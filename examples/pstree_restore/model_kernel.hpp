// SPDX-License-Identifier: MIT
// The kernel's rules for parents, pids, sessions, process groups and pid namespaces, as far as the
// planner depends on them: plan_test.cpp lets it make trees and carry out plans.
#pragma once

#include "plan.hpp"

#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace pstree::model
{

struct Refused : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Task {
    int parent = -1; ///< index; -1: outside
    int ns = 0;
    Pids pids;
    int sid = -1; ///< index of the leader, also when that one has ended; -1: outside
    int pgid = -1;
    bool alive = true;
    bool subreaper = false;
};

class Kernel
{
public:
    /// Task 0, with pid 1 here, is the process that everything starts from.
    Kernel() { tasks.push_back(Task{-1, 0, {1}, -1, -1, true, true}); }

    std::vector<Task> tasks;
    Tree spaces;                  ///< only its namespaces
    std::vector<int> inits = {0}; ///< by namespace
    std::map<int, int> last_pid;  ///< by namespace

    Task &at(int index) { return tasks[static_cast<std::size_t>(index)]; }

    /// `pids` may be empty: the kernel's choice.
    int clone(int actor, bool sibling, bool new_ns, int enter_ns, Pids pids)
    {
        need_alive(actor);
        int ns = enter_ns < 0 ? at(actor).ns : enter_ns;
        if (!spaces.sees(at(actor).ns, ns))
            throw Refused("setns to a namespace that isn't below");
        if (new_ns && ns != at(actor).ns)
            throw Refused("a new namespace below another than one's own");
        if (!at(inits[static_cast<std::size_t>(ns)]).alive)
            throw Refused("clone in a dead namespace");
        if (sibling && (actor == 0 || inits[static_cast<std::size_t>(at(actor).ns)] == actor))
            throw Refused("CLONE_PARENT by an init");
        if (pids.empty())
            pids = choose(ns);
        if (pids.size() != spaces.level(ns) + 1)
            throw Refused("wrong number of pids");
        for (std::size_t level = 0; level < pids.size(); level++)
            if (in_use(spaces.ancestor(ns, level), pids[level]))
                throw Refused("pid in use");
        const int index = static_cast<int>(tasks.size());
        if (new_ns) {
            spaces.namespaces.push_back(Namespace{ns});
            ns = static_cast<int>(spaces.namespaces.size()) - 1;
            inits.push_back(index);
            pids.push_back(1);
        }
        const Task &creator = at(actor);
        tasks.push_back(Task{sibling ? creator.parent : actor, ns, pids, creator.sid, creator.pgid,
                             true, false});
        return index;
    }

    void setsid(int actor)
    {
        need_alive(actor);
        if (at(actor).sid == actor || group_session(actor) != no_group)
            throw Refused("setsid by a leader");
        at(actor).sid = at(actor).pgid = actor;
    }

    /// Both numbers as in the actor's namespace.
    void setpgid(int actor, int pid, int pgid)
    {
        need_alive(actor);
        const int target = pid == 0 ? actor : find(at(actor).ns, pid);
        if (target < 0 || (target != actor && at(target).parent != actor))
            throw Refused("setpgid of a process that isn't a child");
        const int group = pgid == 0 ? target : find_group(at(actor).ns, pgid);
        if (at(target).sid != at(actor).sid || at(target).sid == target)
            throw Refused("setpgid of a session leader or in another session");
        if (group < 0 || (group != target && group_session(group) != at(actor).sid))
            throw Refused("setpgid to a group that isn't in the session");
        const int init = inits[static_cast<std::size_t>(at(target).ns)];
        if (target == init && group != target && number_of(group, at(target).ns) != 0)
            throw Refused("not a rule, but such a namespace never ends: see plan.cpp");
        at(target).pgid = group;
    }

    void exit(int actor)
    {
        need_alive(actor);
        const int init = inits[static_cast<std::size_t>(at(actor).ns)];
        if (init == actor) { // takes the namespace's processes along
            for (int i = static_cast<int>(tasks.size()); i-- > 0;)
                if (i != actor && at(i).alive && spaces.sees(at(actor).ns, at(i).ns))
                    at(i).alive = false;
            at(actor).alive = false;
            return;
        }
        int reaper = init;
        for (int up = at(actor).parent; up >= 0 && at(up).ns == at(actor).ns; up = at(up).parent) {
            if (at(up).subreaper) {
                reaper = up;
                break;
            }
        }
        at(actor).alive = false;
        for (Task &task : tasks)
            if (task.alive && task.parent == actor)
                task.parent = reaper;
    }

    /// What a capture of `roots` and all below them would read.
    Tree capture(const std::vector<int> &roots)
    {
        Tree tree;
        tree.namespaces = spaces.namespaces;
        std::vector<int> todo = roots;
        while (!todo.empty()) {
            const int index = todo.back();
            todo.pop_back();
            const Task &task = at(index);
            Process process;
            process.pids = task.pids;
            process.ppid = task.parent <= 0 ? 0 : at(task.parent).pids[0];
            process.pgid = seen_by(task, task.pgid);
            process.sid = seen_by(task, task.sid);
            process.ns = task.ns;
            process.name = "n" + std::to_string(task.pids[0]);
            tree.processes.push_back(process);
            for (std::size_t i = 1; i < tasks.size(); i++)
                if (tasks[i].alive && tasks[i].parent == index)
                    todo.push_back(static_cast<int>(i));
        }
        canonicalise(tree);
        return tree;
    }

    int find_group(int ns, int pgid)
    {
        for (const Task &task : tasks)
            if (task.alive && task.pgid >= 0 && number_of(task.pgid, ns) == pgid)
                return task.pgid;
        const int process = find(ns, pgid);
        return process;
    }

private:
    static constexpr int no_group = -2;

    void need_alive(int index)
    {
        if (!at(index).alive)
            throw Refused("a call by a process that has ended");
    }

    /// The number of `index` in `ns`, or 0.
    int number_of(int index, int ns)
    {
        return spaces.sees(ns, at(index).ns) ? at(index).pids[spaces.level(ns)] : 0;
    }

    int find(int ns, int pid)
    {
        for (int i = 0; i < static_cast<int>(tasks.size()); i++)
            if (at(i).alive && number_of(i, ns) == pid)
                return i;
        return -1;
    }

    int group_session(int group)
    {
        for (const Task &task : tasks)
            if (task.alive && task.pgid == group)
                return task.sid;
        return no_group;
    }

    bool in_use(int ns, int pid)
    {
        for (int i = 0; i < static_cast<int>(tasks.size()); i++) {
            if (!at(i).alive)
                continue;
            for (const int user : {i, at(i).sid, at(i).pgid})
                if (user >= 0 && number_of(user, ns) == pid)
                    return true;
        }
        return false;
    }

    Pids choose(int ns)
    {
        Pids pids;
        for (std::size_t level = 0; level <= spaces.level(ns); level++) {
            int &last = last_pid.try_emplace(spaces.ancestor(ns, level), 1).first->second;
            pids.push_back(++last);
        }
        return pids;
    }

    Pids seen_by(const Task &task, int leader)
    {
        Pids numbers;
        for (std::size_t level = 0; level < task.pids.size(); level++)
            numbers.push_back(leader < 0 ? 0 : number_of(leader, spaces.ancestor(task.ns, level)));
        return numbers;
    }
};

/// Carries out `plan` in a fresh kernel; returns what a capture shows then.
inline Tree carry_out(const Plan &plan, const Tree &tree)
{
    Kernel kernel;
    std::map<int, int> index = {{restorer, 0}}; // node -> task
    std::map<int, int> space = {{0, 0}};        // the tree's namespace -> the kernel's
    for (const Step &step : plan.steps) {
        const int actor = index.at(step.actor);
        switch (step.kind) {
        case Step::Kind::birth: {
            const Node &node = plan.nodes.at(static_cast<std::size_t>(step.node));
            Pids pids = node.pids;
            if (step.new_ns)
                pids.pop_back();
            const int enter = step.enter_ns < 0 ? -1 : space.at(step.enter_ns);
            index[step.node] = kernel.clone(actor, step.sibling, step.new_ns, enter, pids);
            if (step.new_ns)
                space[node.ns] = kernel.at(index[step.node]).ns;
            break;
        }
        case Step::Kind::setsid:
            kernel.setsid(actor);
            break;
        case Step::Kind::setpgid:
            kernel.setpgid(actor, step.pid, step.pgid);
            break;
        case Step::Kind::subreaper:
            kernel.at(actor).subreaper = step.on;
            break;
        case Step::Kind::finish:
            if (kernel.at(index.at(step.node)).parent != actor)
                throw Refused("a helper is reaped by another than its parent");
            kernel.exit(index.at(step.node));
            break;
        case Step::Kind::threads:
            break;
        }
    }
    std::vector<int> roots;
    for (std::size_t i = 0; i < plan.nodes.size(); i++)
        if (plan.nodes[i].temporary && kernel.at(index.at(static_cast<int>(i))).alive)
            throw Refused("a temporary helper is left over");
    std::map<int, int> by_id;
    for (std::size_t i = 0; i < tree.processes.size(); i++)
        by_id[tree.processes[i].id()] = index.at(static_cast<int>(i));
    for (std::size_t i = 0; i < tree.processes.size(); i++)
        if (!by_id.contains(tree.processes[i].ppid))
            roots.push_back(index.at(static_cast<int>(i)));
    Tree got = kernel.capture(roots);
    return got;
}

} // namespace pstree::model
