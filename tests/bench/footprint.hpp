// SPDX-License-Identifier: MIT
#ifndef CLONE2_BENCH_FOOTPRINT_HPP
#define CLONE2_BENCH_FOOTPRINT_HPP

#include "report.hpp"

#include <optional>
#include <string>

namespace bench
{

/// What `targets` sleeping processes, each made by clone2, cost the serving process. An empty
/// supervisor: one is already there. Nothing if no serving process is among the ancestors.
std::optional<Footprint> measure_footprint(const std::string &supervisor, long number,
                                           unsigned targets, double idle_seconds);

/// The life of their parent, driven by lines on stdin.
int serve_sleepers(unsigned targets, long number);

} // namespace bench

#endif
