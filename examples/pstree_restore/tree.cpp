// SPDX-License-Identifier: MIT
#include "tree.hpp"

#include <algorithm>
#include <set>
#include <tuple>

namespace pstree
{

std::size_t Tree::level(int ns) const
{
    std::size_t level = 0;
    for (; ns > 0; ns = namespaces[static_cast<std::size_t>(ns)].parent)
        level++;
    return level;
}

int Tree::ancestor(int ns, std::size_t wanted) const
{
    for (std::size_t at = level(ns); at > wanted; at--)
        ns = namespaces[static_cast<std::size_t>(ns)].parent;
    return ns;
}

bool Tree::sees(int ns, int inner) const
{
    const std::size_t outer_level = level(ns);
    return outer_level <= level(inner) && ancestor(inner, outer_level) == ns;
}

std::size_t Tree::thread_count() const
{
    std::size_t count = 0;
    for (const Process &process : processes)
        count += process.threads.size();
    return count;
}

std::map<int, AbsentLeader> absent_leaders(const Tree &tree)
{
    std::set<int> present;
    for (const Process &process : tree.processes)
        present.insert(process.id());
    std::map<int, AbsentLeader> leaders;
    const auto add = [&](const Pids &numbers, int ns) {
        if (numbers[0] == 0 || present.contains(numbers[0]))
            return;
        const auto end = std::find(numbers.begin(), numbers.end(), 0);
        AbsentLeader &leader = leaders[numbers[0]];
        if (static_cast<std::size_t>(end - numbers.begin()) > leader.pids.size()) {
            leader.pids.assign(numbers.begin(), end);
            leader.ns = tree.ancestor(ns, leader.pids.size() - 1);
        }
    };
    for (const Process &process : tree.processes) {
        add(process.sid, process.ns);
        add(process.pgid, process.ns);
    }
    return leaders;
}

void canonicalise(Tree &tree)
{
    std::set<int> present;
    for (const Process &process : tree.processes)
        present.insert(process.id());
    std::sort(tree.processes.begin(), tree.processes.end(),
              [](const Process &a, const Process &b) { return a.pids < b.pids; });
    std::vector<Namespace> renumbered = {Namespace{}};
    std::vector<int> number(tree.namespaces.size(), -1);
    number[0] = 0;
    for (Process &process : tree.processes) {
        std::sort(process.threads.begin(), process.threads.end(),
                  [](const Thread &a, const Thread &b) { return a.tids < b.tids; });
        if (!present.contains(process.ppid))
            process.ppid = 0;
        for (std::size_t level = 1; level < process.pids.size(); level++) {
            const auto old = static_cast<std::size_t>(tree.ancestor(process.ns, level));
            if (number[old] >= 0)
                continue;
            number[old] = static_cast<int>(renumbered.size());
            const auto parent = static_cast<std::size_t>(tree.namespaces[old].parent);
            renumbered.push_back(Namespace{number[parent]});
        }
    }
    for (Process &process : tree.processes)
        process.ns = number[static_cast<std::size_t>(process.ns)];
    tree.namespaces = std::move(renumbered); // namespaces without a process are gone
}

std::vector<int> used_numbers(const Tree &tree, int ns)
{
    const std::size_t level = tree.level(ns);
    std::vector<int> numbers;
    const auto add = [&](const Pids &pids) {
        if (pids.size() > level && pids[level] != 0)
            numbers.push_back(pids[level]);
    };
    for (const Process &process : tree.processes) {
        if (!tree.sees(ns, process.ns))
            continue;
        add(process.pids);
        add(process.pgid);
        add(process.sid);
        for (const Thread &thread : process.threads)
            add(thread.tids);
    }
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    return numbers;
}

Tree wrap_in_namespace(const Tree &tree, const std::vector<int> &taken)
{
    const std::vector<int> used = used_numbers(tree, 0);
    std::set<int> busy(taken.begin(), taken.end());
    busy.insert(1); // the outer namespace has its own
    std::map<int, int> outside = {{0, 0}};
    int next = 2;
    for (const int number : used) {
        if (!busy.contains(number)) {
            outside[number] = number;
            continue;
        }
        while (busy.contains(next) || std::binary_search(used.begin(), used.end(), next))
            next++;
        outside[number] = next++;
    }
    const auto prepend = [&](Pids &pids) { pids.insert(pids.begin(), outside.at(pids[0])); };

    Tree wrapped = tree;
    for (Namespace &space : wrapped.namespaces)
        space.parent++;
    wrapped.namespaces.insert(wrapped.namespaces.begin(), Namespace{});
    for (Process &process : wrapped.processes) {
        const auto parent = outside.find(process.ppid);
        process.ppid = parent == outside.end() ? 0 : parent->second;
        process.ns++;
        prepend(process.pids);
        prepend(process.pgid);
        prepend(process.sid);
        for (Thread &thread : process.threads)
            thread.tids.insert(thread.tids.begin(), outside.at(thread.tids[0]));
    }
    canonicalise(wrapped);
    return wrapped;
}

Tree unwrap_namespace(const Tree &tree)
{
    std::map<int, int> inside;
    for (const Process &process : tree.processes)
        inside[process.pids[0]] = process.pids.at(1);
    Tree unwrapped = tree;
    for (Process &process : unwrapped.processes) {
        const auto parent = inside.find(process.ppid);
        process.ppid = parent == inside.end() ? 0 : parent->second;
        process.ns--;
        process.pids.erase(process.pids.begin());
        process.pgid.erase(process.pgid.begin());
        process.sid.erase(process.sid.begin());
        for (Thread &thread : process.threads)
            thread.tids.erase(thread.tids.begin());
    }
    unwrapped.namespaces.erase(unwrapped.namespaces.begin());
    for (Namespace &space : unwrapped.namespaces)
        space.parent--;
    canonicalise(unwrapped);
    return unwrapped;
}

std::vector<std::string> differences(const Tree &wanted, const Tree &got)
{
    std::vector<std::string> lines;
    std::map<int, const Process *> found;
    for (const Process &process : got.processes)
        found[process.id()] = &process;
    for (const Process &process : wanted.processes) {
        const std::string who =
            "process " + std::to_string(process.id()) + " (" + escape_name(process.name) + "): ";
        const auto it = found.find(process.id());
        if (it == found.end()) {
            lines.push_back(who + "missing");
            continue;
        }
        const Process &copy = *it->second;
        const auto compare = [&](const char *what, const auto &a, const auto &b, auto text) {
            if (a != b)
                lines.push_back(who + what + " should be " + text(a) + ", is " + text(b));
        };
        const auto number = [](int value) { return std::to_string(value); };
        compare("pids", process.pids, copy.pids, to_text);
        compare("parent", process.ppid, copy.ppid, number);
        compare("process group", process.pgid, copy.pgid, to_text);
        compare("session", process.sid, copy.sid, to_text);
        compare("pid namespace", process.ns, copy.ns, number);
        compare("name", process.name, copy.name, escape_name);
        compare("threads", process.threads, copy.threads, [](const std::vector<Thread> &threads) {
            std::string text = std::to_string(threads.size()) + ":";
            for (const Thread &thread : threads)
                text += " " + to_text(thread.tids) + escape_name(thread.name);
            return text;
        });
        found.erase(it);
    }
    for (const auto &[id, process] : found)
        lines.push_back("process " + std::to_string(id) + " (" + escape_name(process->name) +
                        "): not in the tree asked for");
    for (std::size_t i = 0; i < std::min(wanted.namespaces.size(), got.namespaces.size()); i++)
        if (wanted.namespaces[i].parent != got.namespaces[i].parent)
            lines.push_back("pid namespace " + std::to_string(i) + ": nested in another one");
    return lines;
}

} // namespace pstree
