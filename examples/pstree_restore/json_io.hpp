// SPDX-License-Identifier: MIT
#pragma once

#include "tree.hpp"

#include <istream>
#include <string>
#include <vector>

namespace pstree
{

/// Parses a file into a valid and canonical tree. Rejects unknown fields, so that a misspelt one
/// can't be overlooked.
Tree parse_tree(std::istream &input);

/// JSON with one line per process; `notes` say what a capture left out.
std::string dump_tree(const Tree &tree, const std::vector<std::string> &notes);

} // namespace pstree
