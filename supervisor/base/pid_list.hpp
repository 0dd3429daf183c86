// SPDX-License-Identifier: MIT
#pragma once

#include <sstream>
#include <string>
#include <sys/types.h>
#include <vector>

namespace clone2
{

/// Parses ids from a /proc text: a line of status such as NSpid ("\t4711\t77\t1", the supervisor's
/// namespace first), or a list of children. Thread-safe.
inline std::vector<pid_t> pid_list(const std::string &text)
{
    std::istringstream in(text);
    std::vector<pid_t> found;
    for (pid_t id = 0; in >> id;) {
        found.push_back(id);
    }
    return found;
}

} // namespace clone2
