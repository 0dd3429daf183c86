// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace pstree
{

/// An error that ends the program, in words for its user. Every function here may throw it.
struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Pids of one task, outermost namespace of the tree first: the order of NSpid in
/// /proc/PID/status and of clone2's list.
using Pids = std::vector<int>;

struct Thread {
    Pids tids;
    std::string name; ///< raw bytes, at most 15, no NUL
};

/// One process: a thread-group leader without its other threads.
struct Process {
    Pids pids;
    int ppid = 0;       ///< in namespace 0; if no process in the tree has it, the parent is outside
    Pids pgid;          ///< like NSpgid: 0 in namespaces where the leader can't be seen
    Pids sid;           ///< like NSsid, likewise
    std::size_t ns = 0; ///< number of its own pid namespace
    std::string name;
    std::vector<Thread> threads; ///< all but the leader

    /// The pid in namespace 0 identifies a process.
    [[nodiscard]] int id() const { return pids.front(); }
    [[nodiscard]] bool is_init() const { return ns != 0 && pids.back() == 1; }
};

struct Tree {
    /// For each pid namespace, the number of the one around it. Number 0 is the outermost one, in
    /// which the tree was captured.
    std::vector<std::size_t> namespaces = {0};
    std::vector<Process> processes;

    /// How deep namespace `ns` is nested; number 0 has level 0.
    [[nodiscard]] std::size_t level(std::size_t ns) const;
    /// The namespace at `level` on the path from number 0 to `ns`.
    [[nodiscard]] std::size_t ancestor(std::size_t ns, std::size_t level) const;
    /// Whether a process in `ns` can see one in `inner`.
    [[nodiscard]] bool sees(std::size_t ns, std::size_t inner) const;
    [[nodiscard]] std::map<int, const Process *> by_id() const;
    [[nodiscard]] std::size_t thread_count() const;
};

/// Limits, so that a hostile file causes no more than an error message.
inline constexpr std::size_t max_tasks = 32768;
inline constexpr int pid_limit = 4194304; ///< PID_MAX_LIMIT of a 64-bit kernel
inline constexpr std::size_t max_depth = 32;
inline constexpr std::size_t max_name = 15; ///< TASK_COMM_LEN without the NUL

/// Throws what is wrong with the tree. All other functions require a valid tree.
void validate(const Tree &tree);

/// A process group or session leader that isn't in the tree, as far as its members show it.
struct AbsentLeader {
    Pids pids;
    std::size_t ns = 0;
};
/// By number in namespace 0.
std::map<int, AbsentLeader> absent_leaders(const Tree &tree);

/// Sorts processes and threads by pid, and sets outside parents to 0.
void canonicalise(Tree &tree);

/// One line per difference; empty if the trees are equal. Both must be canonical.
std::vector<std::string> differences(const Tree &wanted, const Tree &got);

/// The numbers of tasks, sessions and groups in namespace `ns`, sorted.
std::vector<int> used_numbers(const Tree &tree, std::size_t ns);

/// Moves the whole tree one namespace down, for when its numbers are in use (1 always is). The
/// outer number stays the same unless it is in `taken`.
Tree wrap_in_namespace(const Tree &tree, const std::vector<int> &taken);

/// The tree as lines of text for people. Must be canonical.
std::string draw(const Tree &tree);

/// "{77 99}"
std::string to_text(const Pids &pids);
/// "process {77 99} (name)"
std::string who(const Process &process);
/// Escapes a name: everything but printable ASCII becomes \xNN, and \ becomes \\. unescape_name()
/// is the inverse.
std::string escape_name(const std::string &raw);
std::string unescape_name(const std::string &text);
/// Escapes a message, which may contain such names, for one line on a terminal: like escape_name(),
/// but every \ stays single.
std::string printable(const std::string &message);

} // namespace pstree
