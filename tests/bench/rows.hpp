// SPDX-License-Identifier: MIT
#ifndef CLONE2_BENCH_ROWS_HPP
#define CLONE2_BENCH_ROWS_HPP

#include "callers.hpp"
#include "options.hpp"

#include <vector>

namespace bench
{

/// The rows that one measuring process fills. Each role is one way to have clone2: "calls" (just
/// supervised), "calls-logged", "calls-judged", "calls-preload", "calls-trap".
std::vector<Workload> rows(const Options &options, const std::string &role);

} // namespace bench

#endif
