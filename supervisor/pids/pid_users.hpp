// SPDX-License-Identifier: MIT
#pragma once

#include "base/procfs.hpp"
#include "target/namespaces.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <sys/types.h>

/// Finds out through /proc which pids of a namespace are in use, and by what. Slow: every process
/// is looked at. Thread-safe.

namespace clone2
{

constexpr pid_t first_after_wrap = 300; ///< the kernel's RESERVED_PIDS
/// The first pid that is too high in our namespace; in those below it, it may be lower (6.14).
[[nodiscard]] pid_t read_pid_max();

/// The path up from a child's pid namespace to the supervisor's own, and one namespace on it.
struct PlaceInChain {
    const PidNamespace &ns;
    std::size_t depth; ///< below the supervisor's own namespace, which has 0

    /// `at`: an index in target.chain.
    PlaceInChain(const TargetNamespaces &target, std::size_t at)
        : ns(target.chain[at]), depth(target.chain.size() - 1 - at)
    {
    }
};

/// The tid in our namespace of a task that the target, as `result` of a call, calls by this pid.
/// 0: it can't be found out (before 6.11), or it is gone.
[[nodiscard]] pid_t pid_here(const Procfs &procfs, pid_t tid, const TargetNamespaces &target,
                             pid_t pid);

/// What a pid is used as.
enum class PidUse { process, thread, group, session };

/// Calls `found` for each use of a pid in that namespace, until it returns true: what it is, the
/// pid there, and the task that uses it, by its tid in our namespace.
void find_pid_users(const Procfs &procfs, const PlaceInChain &place,
                    const std::function<bool(PidUse use, pid_t pid, pid_t task)> &found);

/// What uses this pid now: 'zombie 4711 "prog"', by its pid in our namespace. nullopt: nothing that
/// can be seen from here.
[[nodiscard]] std::optional<std::string> describe_pid_user(const Procfs &procfs,
                                                           const PlaceInChain &place, pid_t pid);

} // namespace clone2
