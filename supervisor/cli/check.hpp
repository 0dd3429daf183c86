// SPDX-License-Identifier: MIT
#pragma once

#include "cli/options.hpp"

#include <string>
#include <vector>

namespace clone2::cli
{

/// One capability of this kernel and this caller, found by trying it.
struct Feature {
    std::string name;
    bool present = false;
    bool required = false; ///< if it is missing, no program can be supervised
    std::string found;     ///< what the probe found
    std::string consequence;
};

/// Probes all features, without lasting effects.
[[nodiscard]] std::vector<Feature> probe_features(const Check &check);

/// Prints to stdout. Returns 0: feature(s) present, 1: not, 125: no feature has this name.
int run_check(const Check &check);

} // namespace clone2::cli
