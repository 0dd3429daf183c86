// SPDX-License-Identifier: MIT
#pragma once

#include "cli/options.hpp"

#include <string>
#include <vector>

namespace clone2::cli
{

/// One thing that this kernel and this caller can do or not, found out by behaviour.
struct Feature {
    std::string name;
    bool present = false;
    bool required = false; ///< without it nothing works
    std::string found;     ///< what was seen
    std::string consequence;
};

/// Probes all of them, without lasting effects.
[[nodiscard]] std::vector<Feature> probe_features(const Check &check);

/// Prints to stdout. 0: (the) feature(s) present, 1: not, 125: no feature of this name.
int run_check(const Check &check);

} // namespace clone2::cli
