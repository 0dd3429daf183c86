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
    first,   ///< callers are processes that run a small program, which creates one process
};

struct Workload {
    Kind kind = Kind::process;
    unsigned callers = 1;
    std::size_t resident_mib = 0; ///< memory that each calling process has touched
    double seconds = 1;           ///< time budget
    long number = 0;              ///< clone2's
    Provider provider = Provider::supervised;
    std::string label{}; ///< the row's label, after the kind
};

/// "small process, logged/4": what --row is compared with.
std::string row_name(const Workload &workload);

/// Runs the callers together: all native, then all supervised, and so on. The calling process must
/// be single-threaded and may choose pids 1000..25000 in its pid namespace. `server`: whose CPU
/// time is measured, 0: nobody's. Throws std::runtime_error if a call fails.
Series measure(const Workload &workload, pid_t server);

} // namespace bench

#endif
