// SPDX-License-Identifier: MIT
#pragma once

#include "tree.hpp"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace pstree
{

struct Capture {
    Tree tree;                      ///< valid and canonical
    std::vector<std::string> notes; ///< what was left out and why
};

/// Reads the processes `roots` and all their descendants from /proc, without the calling process.
/// Reads until two reads in a row agree, at most `tries` times; otherwise the reason in words.
std::variant<Capture, std::string> capture(const std::vector<int> &roots, int tries);

/// Why /proc can't serve for this, if so: it may be missing or show another pid namespace.
std::optional<std::string> proc_fault();

/// Every number in use in this pid namespace: processes, threads, their groups and sessions.
std::vector<int> numbers_in_use();

} // namespace pstree
