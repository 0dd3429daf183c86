// SPDX-License-Identifier: MIT
#include "tree.hpp"

#include <algorithm>
#include <set>

namespace pstree
{

namespace
{

/// The lowest pid in each namespace or below it: identifies a namespace whatever its number.
std::map<std::size_t, int> lowest_pids(const Tree &tree)
{
    std::map<std::size_t, int> lowest;
    for (const Process &process : tree.processes) {
        for (std::size_t level = 0; level < process.pids.size(); level++) {
            const auto at = lowest.try_emplace(tree.ancestor(process.ns, level), pid_limit).first;
            at->second = std::min(at->second, process.id());
        }
    }
    return lowest;
}

/// Everything that differences() compares, in words.
std::vector<std::string> features(const Tree &tree, const Process &process,
                                  const std::map<std::size_t, int> &lowest)
{
    Pids spaces;
    for (std::size_t level = 0; level < process.pids.size(); level++) {
        spaces.push_back(lowest.at(tree.ancestor(process.ns, level)));
    }
    std::string threads;
    for (const Thread &thread : process.threads) {
        threads += " " + to_text(thread.tids) + " " + escape_name(thread.name);
    }
    return {"pids " + to_text(process.pids),
            "parent " + std::to_string(process.ppid),
            "process group " + to_text(process.pgid),
            "session " + to_text(process.sid),
            "name " + escape_name(process.name),
            "pid namespaces those of the processes " + to_text(spaces),
            "threads" + threads};
}

} // namespace

std::size_t Tree::level(std::size_t ns) const
{
    std::size_t level = 0;
    for (; ns > 0; ns = namespaces[ns]) {
        level++;
    }
    return level;
}

std::size_t Tree::ancestor(std::size_t ns, std::size_t wanted) const
{
    for (std::size_t at = level(ns); at > wanted; at--) {
        ns = namespaces[ns];
    }
    return ns;
}

bool Tree::sees(std::size_t ns, std::size_t inner) const
{
    return level(ns) <= level(inner) && ancestor(inner, level(ns)) == ns;
}

std::map<int, const Process *> Tree::by_id() const
{
    std::map<int, const Process *> found;
    for (const Process &process : processes) {
        found[process.id()] = &process;
    }
    return found;
}

std::size_t Tree::thread_count() const
{
    std::size_t count = 0;
    for (const Process &process : processes) {
        count += process.threads.size();
    }
    return count;
}

std::map<int, AbsentLeader> absent_leaders(const Tree &tree)
{
    const auto present = tree.by_id();
    std::map<int, AbsentLeader> leaders;
    for (const Process &process : tree.processes) {
        for (const Pids &numbers : {process.sid, process.pgid}) {
            const auto end = std::find(numbers.begin(), numbers.end(), 0);
            if (end == numbers.begin() || present.contains(numbers[0])) {
                continue;
            }
            AbsentLeader &leader = leaders[numbers[0]];
            if (static_cast<std::size_t>(end - numbers.begin()) > leader.pids.size()) {
                leader.pids.assign(numbers.begin(), end);
                leader.ns = tree.ancestor(process.ns, leader.pids.size() - 1);
            }
        }
    }
    return leaders;
}

void canonicalise(Tree &tree)
{
    std::sort(tree.processes.begin(), tree.processes.end(),
              [](const Process &a, const Process &b) { return a.pids < b.pids; });
    const auto present = tree.by_id();
    for (Process &process : tree.processes) {
        std::sort(process.threads.begin(), process.threads.end(),
                  [](const Thread &a, const Thread &b) { return a.tids < b.tids; });
        if (!present.contains(process.ppid)) {
            process.ppid = 0;
        }
    }
}

std::vector<int> used_numbers(const Tree &tree, std::size_t ns)
{
    const std::size_t level = tree.level(ns);
    std::set<int> numbers;
    for (const Process &process : tree.processes) {
        if (!tree.sees(ns, process.ns)) {
            continue;
        }
        numbers.insert({process.pids[level], process.pgid[level], process.sid[level]});
        for (const Thread &thread : process.threads) {
            numbers.insert(thread.tids[level]);
        }
    }
    numbers.erase(0);
    return {numbers.begin(), numbers.end()};
}

Tree wrap_in_namespace(const Tree &tree, const std::vector<int> &taken)
{
    const std::vector<int> used = used_numbers(tree, 0);
    std::set<int> busy(taken.begin(), taken.end());
    std::set<int> avoided = busy;
    avoided.insert(used.begin(), used.end());
    std::map<int, int> outside = {{0, 0}};
    int next = 2;
    for (const int number : used) {
        while (avoided.contains(next)) {
            next++;
        }
        outside[number] = busy.contains(number) ? next++ : number;
    }
    const auto prepend = [&](Pids &pids) { pids.insert(pids.begin(), outside.at(pids[0])); };

    Tree wrapped = tree;
    wrapped.namespaces = {0, 0};
    for (std::size_t ns = 1; ns < tree.namespaces.size(); ns++) {
        wrapped.namespaces.push_back(tree.namespaces[ns] + 1);
    }
    for (Process &process : wrapped.processes) {
        process.ppid = outside[process.ppid]; // 0 if the parent is outside
        process.ns++;
        prepend(process.pids);
        prepend(process.pgid);
        prepend(process.sid);
        for (Thread &thread : process.threads) {
            prepend(thread.tids);
        }
    }
    canonicalise(wrapped);
    return wrapped;
}

std::vector<std::string> differences(const Tree &wanted, const Tree &got)
{
    std::vector<std::string> lines;
    std::map<int, const Process *> found = got.by_id();
    const auto wanted_lowest = lowest_pids(wanted);
    const auto got_lowest = lowest_pids(got);
    for (const Process &process : wanted.processes) {
        const auto copy = found.find(process.id());
        if (copy == found.end()) {
            lines.push_back(who(process) + ": missing");
            continue;
        }
        const auto a = features(wanted, process, wanted_lowest);
        const auto b = features(got, *copy->second, got_lowest);
        for (std::size_t i = 0; i < a.size(); i++) {
            if (a[i] != b[i]) {
                lines.push_back(who(process) + ": should have " + a[i] + ", has " + b[i]);
            }
        }
        found.erase(copy);
    }
    for (const auto &[id, process] : found) {
        lines.push_back(who(*process) + ": not in the tree asked for");
    }
    return lines;
}

} // namespace pstree
