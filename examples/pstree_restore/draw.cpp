// SPDX-License-Identifier: MIT
#include "tree.hpp"

#include <set>

namespace pstree
{

namespace
{

constexpr std::size_t deepest_drawn = 40; // a chain of thousands would fill the screen with bars

std::string group_text(const Pids &numbers)
{
    return numbers.size() == 1 ? std::to_string(numbers[0]) : to_text(numbers);
}

/// Consecutive thread ids of one name share a line: "{101..125} worker (25 threads)".
std::string thread_lines(const Process &process, const std::string &indent)
{
    std::string lines;
    const std::vector<Thread> &threads = process.threads;
    for (std::size_t first = 0; first < threads.size();) {
        std::size_t last = first;
        while (last + 1 < threads.size() && threads[first].tids.size() == 1 &&
               threads[last + 1].name == threads[first].name &&
               threads[last + 1].tids[0] == threads[last].tids[0] + 1)
            last++;
        const std::size_t count = last - first + 1;
        const std::string tids = count == 1 ? to_text(threads[first].tids)
                                            : "{" + std::to_string(threads[first].tids[0]) + ".." +
                                                  std::to_string(threads[last].tids[0]) + "}";
        lines += indent;
        lines += "  " + tids + " " + escape_name(threads[first].name);
        lines += count == 1 ? " (thread)\n" : " (" + std::to_string(count) + " threads)\n";
        first = last + 1;
    }
    return lines;
}

struct Branch {
    const Process *process;
    std::size_t depth;
    bool last;
};

} // namespace

std::string draw(const Tree &tree)
{
    std::set<int> present;
    std::map<int, std::vector<const Process *>> children;
    for (const Process &process : tree.processes)
        present.insert(process.id());
    for (const Process &process : tree.processes)
        children[present.contains(process.ppid) ? process.ppid : 0].push_back(&process);

    std::string text;
    std::vector<Branch> todo;
    std::vector<bool> open; // by depth: does that branch go on below?
    const auto push_children = [&](int id, std::size_t depth) {
        const auto &list = children[id];
        for (std::size_t i = list.size(); i-- > 0;)
            todo.push_back(Branch{list[i], depth, i + 1 == list.size()});
    };
    push_children(0, 0);
    while (!todo.empty()) {
        const Branch branch = todo.back();
        todo.pop_back();
        open.resize(branch.depth + 1);
        open[branch.depth] = !branch.last;
        std::string bars;
        for (std::size_t depth = 1; depth < branch.depth && depth < deepest_drawn; depth++)
            bars += open[depth] ? "|   " : "    ";
        if (branch.depth > deepest_drawn)
            bars.clear();
        std::string lead = bars;
        if (branch.depth > deepest_drawn)
            lead += "... " + std::to_string(branch.depth) + " deep: ";
        else if (branch.depth > 0)
            lead += branch.last ? "`-- " : "|-- ";
        const Process &process = *branch.process;
        text += lead + escape_name(process.name) + " " + to_text(process.pids) + " group " +
                group_text(process.pgid) + " session " + group_text(process.sid) + "\n";
        const bool has_children = children.contains(process.id());
        if (branch.depth > 0 && branch.depth <= deepest_drawn)
            bars += branch.last ? "    " : "|   ";
        text += thread_lines(process, bars + (has_children ? "| " : "  "));
        push_children(process.id(), branch.depth + 1);
    }
    return text;
}

} // namespace pstree
