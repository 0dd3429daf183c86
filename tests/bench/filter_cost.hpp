// SPDX-License-Identifier: MIT
#ifndef CLONE2_BENCH_FILTER_COST_HPP
#define CLONE2_BENCH_FILTER_COST_HPP

#include "report.hpp"

#include <string>

namespace bench
{

/// What a filter costs an ordinary call: three processes that take turns, to be called by a
/// process without a filter.
FilterCost measure_filter_cost(const std::string &supervisor, double seconds);

/// The life of each of the three: a line on stdin asks for a turn; the answer is ns per call.
int serve_getppid(bool allow_all_filter);

} // namespace bench

#endif
