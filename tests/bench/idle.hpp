// SPDX-License-Identifier: MIT
#ifndef CLONE2_BENCH_IDLE_HPP
#define CLONE2_BENCH_IDLE_HPP

#include <optional>

namespace bench
{

/// The share of CPU time, 0 to 1, that nobody used during the next second; a hypervisor that takes
/// CPUs away uses them, too. Nothing if /proc/stat can't be read.
std::optional<double> idle_share();

} // namespace bench

#endif
