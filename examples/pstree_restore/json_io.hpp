// SPDX-License-Identifier: MIT
#pragma once

#include "tree.hpp"

#include <string>
#include <variant>
#include <vector>

namespace pstree
{

/// The tree in `text`, valid; or what is wrong with the text. Accepts nothing that it doesn't
/// know, so that a misspelt field can't be overlooked.
std::variant<Tree, std::string> parse_tree(const std::string &text);

/// JSON, one line per process; `notes` say what a capture left out.
std::string dump_tree(const Tree &tree, const std::vector<std::string> &notes);

} // namespace pstree
