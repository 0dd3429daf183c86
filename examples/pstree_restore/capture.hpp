// SPDX-License-Identifier: MIT
#pragma once

#include "tree.hpp"

#include <string>
#include <vector>

namespace pstree
{

struct Capture {
    Tree tree;                      ///< valid and canonical
    std::vector<std::string> notes; ///< what was left out and why
};

/// Reads the processes `roots` and all their descendants from /proc, except the calling process,
/// until two reads in a row agree.
Capture capture(const std::vector<int> &roots);

/// Every number in use in this pid namespace, sorted: processes, threads, their groups and
/// sessions; always includes 1.
std::vector<int> numbers_in_use();

} // namespace pstree
