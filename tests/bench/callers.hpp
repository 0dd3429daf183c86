// SPDX-License-Identifier: MIT
#ifndef CLONE2_BENCH_CALLERS_HPP
#define CLONE2_BENCH_CALLERS_HPP

#include "provider.hpp"
#include "report.hpp"

#include <cstddef>
#include <string>

namespace bench
{

enum class Kind {
    process, ///< callers are processes that create processes
    thread,  ///< callers are threads of one process that create threads
};

struct Workload {
    Kind kind = Kind::process;
    unsigned callers = 1;
    std::size_t resident_mib = 0; ///< memory that each calling process has touched
    double seconds = 1;           ///< budget
    long number = 0;              ///< of clone2
    Provider provider = Provider::supervised;
    std::string label{}; ///< of the row, behind the kind
};

/// Runs the callers together: all of them native, then all supervised, and again. To be called by
/// a single-threaded process that may choose pids 1000..25000 in its pid namespace.
/// Throws std::runtime_error if a call fails.
Series measure(const Workload &workload);

} // namespace bench

#endif
