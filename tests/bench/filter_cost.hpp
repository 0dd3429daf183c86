// SPDX-License-Identifier: MIT
#ifndef CLONE2_BENCH_FILTER_COST_HPP
#define CLONE2_BENCH_FILTER_COST_HPP

#include "report.hpp"

#include <string>

namespace bench
{

/// What a filter adds to an ordinary call: three processes take turns. The calling process must not
/// have a filter.
FilterCost measure_filter_cost(const std::string &supervisor, double seconds);

/// Runs one of the three: a line on stdin asks for a turn; the answer is ns per call.
int serve_getppid(bool allow_all_filter);

} // namespace bench

#endif
