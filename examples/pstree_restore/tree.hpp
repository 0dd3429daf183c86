// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pstree
{

/// Pids of one task, outermost namespace of the tree first: the order of NSpid in
/// /proc/PID/status and of clone2's list.
using Pids = std::vector<int>;

/// A pid namespace of the tree. Number 0 is the one in which the tree was captured.
struct Namespace {
    int parent = -1; ///< number of the namespace around it; -1 for number 0
};

struct Thread {
    Pids tids;
    std::string name; ///< raw bytes, at most 15, no NUL

    bool operator==(const Thread &) const = default;
};

/// One process; a thread-group leader without its other threads.
struct Process {
    Pids pids;
    int ppid = 0; ///< in namespace 0; of no process in the tree: the parent is outside
    Pids pgid;    ///< as NSpgid: 0 in namespaces where the leader can't be seen
    Pids sid;     ///< as NSsid, likewise
    int ns = 0;   ///< number of its own pid namespace
    std::string name;
    std::vector<Thread> threads; ///< all but the leader

    /// The pid in namespace 0 names a process wherever one has to be named.
    [[nodiscard]] int id() const { return pids.front(); }
};

struct Tree {
    std::vector<Namespace> namespaces = {Namespace{}};
    std::vector<Process> processes;

    /// How deep namespace `ns` is nested; number 0 has level 0.
    [[nodiscard]] std::size_t level(int ns) const;
    /// The namespace at `level` on the way from number 0 to `ns`.
    [[nodiscard]] int ancestor(int ns, std::size_t level) const;
    /// True when a process in `ns` can see one in `inner`.
    [[nodiscard]] bool sees(int ns, int inner) const;
    [[nodiscard]] std::size_t thread_count() const;
};

/// Limits that keep a hostile file from being more than an error message.
inline constexpr std::size_t max_tasks = 32768;
inline constexpr int pid_limit = 4194304; ///< PID_MAX_LIMIT of a 64-bit kernel
inline constexpr std::size_t max_depth = 32;
inline constexpr std::size_t max_name = 15; ///< TASK_COMM_LEN without the NUL

/// What is wrong with the tree, or nothing. Everything that follows relies on a valid tree.
std::optional<std::string> validate(const Tree &tree);

/// A process group or session leader that isn't in the tree, as far as the members tell.
struct AbsentLeader {
    Pids pids;
    int ns = 0;
};
/// By number in namespace 0. Only for valid trees.
std::map<int, AbsentLeader> absent_leaders(const Tree &tree);

/// Sorts processes and threads by pid and numbers namespaces in the order of the lowest pid in
/// them, so that equal trees become equal values. Only for valid trees.
void canonicalise(Tree &tree);

/// One line per difference; empty when the trees are the same. Both canonical.
std::vector<std::string> differences(const Tree &wanted, const Tree &got);

/// The numbers that tasks, sessions and groups have in namespace `ns`, sorted.
std::vector<int> used_numbers(const Tree &tree, int ns);

/// Moves the whole tree one namespace down: needed where its numbers are taken already (1 always
/// is). A number is kept outside too unless it is in `taken` or is 1.
Tree wrap_in_namespace(const Tree &tree, const std::vector<int> &taken);
/// Undoes wrap_in_namespace(). Both results are canonical.
Tree unwrap_namespace(const Tree &tree);

/// The tree as lines for people.
std::string draw(const Tree &tree);

/// "{77 99}"
std::string to_text(const Pids &pids);
/// A name with everything that isn't printable UTF-8 as \xNN, and \ as \\; unescape_name() is
/// the way back, or nothing where the escapes are malformed.
std::string escape_name(const std::string &raw);
/// A message, which may have such names in it, for one line on a terminal: as escape_name(), but
/// every \ stays one.
std::string printable(const std::string &message);
std::optional<std::string> unescape_name(const std::string &text);

} // namespace pstree
