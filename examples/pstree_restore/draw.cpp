// SPDX-License-Identifier: MIT
#include "tree.hpp"

namespace pstree
{

namespace
{

constexpr std::size_t deepest_drawn = 40; // a chain of thousands would fill the screen

using Children = std::map<int, std::vector<const Process *>>;

std::string group_text(const Pids &numbers)
{
    return numbers.size() == 1 ? std::to_string(numbers[0]) : to_text(numbers);
}

/// Consecutive thread ids with the same name share a line: "{101..125} worker (25 threads)".
std::string thread_lines(const Process &process, const std::string &indent)
{
    std::string lines;
    const std::vector<Thread> &threads = process.threads;
    for (std::size_t first = 0, end = 0; first < threads.size(); first = end) {
        const Thread &thread = threads[first];
        for (end = first + 1; end < threads.size(); end++) {
            const bool follows = threads[end].tids[0] == threads[end - 1].tids[0] + 1;
            if (!follows || threads[end].name != thread.name || thread.tids.size() > 1) {
                break;
            }
        }
        const std::size_t count = end - first;
        const std::string last = std::to_string(threads[end - 1].tids[0]);
        lines += indent + "  ";
        lines += count == 1 ? to_text(thread.tids)
                            : "{" + std::to_string(thread.tids[0]) + ".." + last + "}";
        lines += " " + escape_name(thread.name);
        lines += count == 1 ? " (thread)\n" : " (" + std::to_string(count) + " threads)\n";
    }
    return lines;
}

/// `lead` is printed before the process itself, `bars` before everything below it.
std::string draw_from(const Process &process, const Children &children, std::size_t depth,
                      const std::string &lead, const std::string &bars)
{
    std::string text = lead + escape_name(process.name) + " " + to_text(process.pids) + " group " +
                       group_text(process.pgid) + " session " + group_text(process.sid) + "\n";
    const auto below = children.find(process.id());
    text += thread_lines(process, bars + (below == children.end() ? "  " : "| "));
    if (below == children.end()) {
        return text;
    }
    if (depth == deepest_drawn) {
        return text + bars + "`-- ...\n";
    }
    for (const Process *child : below->second) {
        const bool last = child == below->second.back();
        text += draw_from(*child, children, depth + 1, bars + (last ? "`-- " : "|-- "),
                          bars + (last ? "    " : "|   "));
    }
    return text;
}

} // namespace

std::string draw(const Tree &tree)
{
    Children children;
    for (const Process &process : tree.processes) {
        children[process.ppid].push_back(&process);
    }
    std::string text;
    for (const Process *root : children[0]) {
        text += draw_from(*root, children, 0, "", "");
    }
    return text;
}

} // namespace pstree
