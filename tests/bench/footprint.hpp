// SPDX-License-Identifier: MIT
#ifndef CLONE2_BENCH_FOOTPRINT_HPP
#define CLONE2_BENCH_FOOTPRINT_HPP

#include "report.hpp"

#include <optional>
#include <string>

namespace bench
{

/// What `targets` sleeping processes, each created by clone2, cost the serving process.
/// `supervisor` empty: this process already has one. Returns nothing if no serving process is among
/// the ancestors.
std::optional<Footprint> measure_footprint(const std::string &supervisor, long number,
                                           unsigned targets, double idle_seconds);

/// Runs their parent, controlled by lines on stdin.
int serve_sleepers(unsigned targets, long number);

} // namespace bench

#endif
