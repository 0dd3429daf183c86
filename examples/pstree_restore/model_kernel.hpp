// SPDX-License-Identifier: MIT
// The kernel's rules for parents, pids, sessions, process groups and pid namespaces, as far as the
// planner needs them: plan_test.cpp uses it to grow trees and to carry out plans.
#pragma once

#include "plan.hpp"

#include <functional>
#include <map>
#include <set>
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
    std::size_t ns = 0;
    Pids pids;
    int sid = -1; ///< index of the leader, even after its end; -1: outside
    int pgid = -1;
    bool alive = true;
    bool subreaper = false;
};

class Kernel
{
public:
    /// Task 0, with pid 1 here, is the process that starts everything.
    Kernel() { tasks.push_back(Task{-1, 0, {1}, -1, -1, true, true}); }

    std::vector<Task> tasks;
    Tree spaces;                         ///< only its namespaces
    std::vector<int> inits = {0};        ///< by namespace
    std::map<std::size_t, int> last_pid; ///< by namespace

    Task &at(int index) { return tasks[static_cast<std::size_t>(index)]; }

    /// `pids` may be empty: the kernel chooses. `ns` is where the actor has gone with setns().
    int clone(int actor, bool sibling, bool new_ns, std::size_t ns, Pids pids)
    {
        need_alive(actor);
        refuse(!spaces.sees(at(actor).ns, ns), "setns to a namespace that isn't below");
        refuse(new_ns && ns != at(actor).ns, "a new namespace below another one than its own");
        refuse(!at(inits[ns]).alive, "clone in a dead namespace");
        refuse(sibling && (actor == 0 || init_of(actor) == actor), "CLONE_PARENT by an init");
        if (pids.empty()) {
            pids = choose(ns);
        }
        refuse(pids.size() != spaces.level(ns) + 1, "wrong number of pids");
        for (std::size_t level = 0; level < pids.size(); level++) {
            refuse(in_use(spaces.ancestor(ns, level), pids[level]), "pid in use");
        }
        const int index = static_cast<int>(tasks.size());
        if (new_ns) {
            spaces.namespaces.push_back(ns);
            ns = spaces.namespaces.size() - 1;
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
        refuse(at(actor).sid == actor || group_session(actor) != no_group, "setsid by a leader");
        at(actor).sid = at(actor).pgid = actor;
    }

    /// Both numbers are in the actor's namespace.
    void setpgid(int actor, int pid, int pgid)
    {
        need_alive(actor);
        const int target = pid == 0 ? actor : find(at(actor).ns, pid);
        refuse(target < 0 || (target != actor && at(target).parent != actor),
               "setpgid of a process that isn't a child");
        const int group = pgid == 0 ? target : find_group(at(actor).ns, pgid);
        refuse(at(target).sid != at(actor).sid || at(target).sid == target,
               "setpgid of a session leader or in another session");
        refuse(group < 0 || (group != target && group_session(group) != at(actor).sid),
               "setpgid to a group that isn't in the session");
        refuse(target == init_of(target) && group != target && number_of(group, at(target).ns) != 0,
               "not a rule, but such a namespace never ends: see plan.cpp");
        at(target).pgid = group;
    }

    void exit(int actor)
    {
        need_alive(actor);
        const int init = init_of(actor);
        if (init == actor) { // ends the namespace's processes, too
            for (int i = static_cast<int>(tasks.size()); i-- > 0;) {
                if (i != actor && at(i).alive && spaces.sees(at(actor).ns, at(i).ns)) {
                    at(i).alive = false;
                }
            }
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
        for (Task &task : tasks) {
            if (task.alive && task.parent == actor) {
                task.parent = reaper;
            }
        }
    }

    /// What a capture of `roots` and everything below them would read.
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
            for (std::size_t i = 1; i < tasks.size(); i++) {
                if (tasks[i].alive && tasks[i].parent == index) {
                    todo.push_back(static_cast<int>(i));
                }
            }
        }
        canonicalise(tree);
        return tree;
    }

    int find_group(std::size_t ns, int pgid)
    {
        for (const Task &task : tasks) {
            if (task.alive && task.pgid >= 0 && number_of(task.pgid, ns) == pgid) {
                return task.pgid;
            }
        }
        return find(ns, pgid);
    }

private:
    static constexpr int no_group = -2;

    static void refuse(bool wrong, const char *why)
    {
        if (wrong) {
            throw Refused(why);
        }
    }

    void need_alive(int index) { refuse(!at(index).alive, "a call by a process that has ended"); }

    int init_of(int index) { return inits[at(index).ns]; }

    /// The number of `index` in `ns`, or 0.
    int number_of(int index, std::size_t ns)
    {
        return spaces.sees(ns, at(index).ns) ? at(index).pids[spaces.level(ns)] : 0;
    }

    int find(std::size_t ns, int pid)
    {
        for (int i = 0; i < static_cast<int>(tasks.size()); i++) {
            if (at(i).alive && number_of(i, ns) == pid) {
                return i;
            }
        }
        return -1;
    }

    int group_session(int group)
    {
        for (const Task &task : tasks) {
            if (task.alive && task.pgid == group) {
                return task.sid;
            }
        }
        return no_group;
    }

    bool in_use(std::size_t ns, int pid)
    {
        for (int i = 0; i < static_cast<int>(tasks.size()); i++) {
            if (!at(i).alive) {
                continue;
            }
            for (const int user : {i, at(i).sid, at(i).pgid}) {
                if (user >= 0 && number_of(user, ns) == pid) {
                    return true;
                }
            }
        }
        return false;
    }

    Pids choose(std::size_t ns)
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
        for (std::size_t level = 0; level < task.pids.size(); level++) {
            numbers.push_back(leader < 0 ? 0 : number_of(leader, spaces.ancestor(task.ns, level)));
        }
        return numbers;
    }
};

/// Carries out `plan` in a new kernel; returns what a capture then shows.
inline Tree carry_out(const Plan &plan, const Tree &tree)
{
    Kernel kernel;
    std::map<std::size_t, int> index = {{restorer, 0}}; // node -> task
    std::set<int> settled = {0};
    for (const Step &step : plan.steps) {
        const int actor = index.at(step.actor);
        switch (step.kind) {
        case Step::Kind::birth: {
            Pids pids = plan.nodes.at(step.node).pids;
            if (step.new_ns) {
                pids.pop_back();
            }
            const int inside = step.enter == restorer ? actor : index.at(step.enter);
            index[step.node] = kernel.clone(actor, false, step.new_ns, kernel.at(inside).ns, pids);
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
            if (kernel.at(index.at(step.node)).parent != actor) {
                throw Refused("a helper is not reaped by its parent");
            }
            kernel.exit(index.at(step.node));
            break;
        case Step::Kind::threads:
            break;
        case Step::Kind::settle:
            settled.insert(actor);
            break;
        }
    }
    for (int task = 0; task < static_cast<int>(kernel.tasks.size()); task++) {
        if (kernel.at(task).alive != settled.contains(task)) {
            throw Refused("a temporary helper is left over, or another process is not");
        }
    }
    std::vector<int> roots;
    for (std::size_t i = 0; i < tree.processes.size(); i++) {
        if (tree.processes[i].ppid == 0) {
            roots.push_back(index.at(i + 1));
        }
    }
    return kernel.capture(roots);
}

} // namespace pstree::model
