// SPDX-License-Identifier: MIT
#pragma once

#include "tree.hpp"

#include <istream>
#include <string>
#include <vector>

namespace pstree
{

/// The tree in a file, valid and canonical. Accepts nothing that it doesn't know, so that a
/// misspelt field can't be overlooked.
Tree parse_tree(std::istream &input);

/// JSON, one line per process; `notes` say what a capture left out.
std::string dump_tree(const Tree &tree, const std::vector<std::string> &notes);

} // namespace pstree
