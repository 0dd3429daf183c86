// SPDX-License-Identifier: MIT
#ifndef CLONE2_BENCH_REPORT_HPP
#define CLONE2_BENCH_REPORT_HPP

#include <cstddef>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace bench
{

/// The same round trip with both providers, alternating. Times in microseconds.
struct Series {
    std::string name;
    unsigned callers = 1;
    double native_median = 0, supervised_median = 0;
    double native_p99 = 0, supervised_p99 = 0;
    double server_cpu = 0;  ///< CPU time of the serving process per call; 0: there is none
    std::size_t rounds = 0; ///< per provider, all callers together
    std::optional<double> earlier_ratio{}; ///< of the run compared with

    double ratio() const { return native_median > 0 ? supervised_median / native_median : 0; }
};

/// getppid(), medians in nanoseconds.
struct FilterCost {
    double no_filter = 0, allow_all = 0, supervised = 0;
};

/// The serving process without targets, and with `targets` sleeping ones.
struct Footprint {
    unsigned targets = 0;
    long rss_before_kib = 0, rss_kib = 0, pss_before_kib = 0, pss_kib = 0;
    double cpu_per_call_us = 0, idle_seconds = 0, idle_cpu_us = 0;
};

struct Report {
    bool quick = false;
    std::optional<double> idle_before, idle_after; ///< share of idle CPU time, 0 to 1
    std::vector<Series> series;
    std::optional<FilterCost> filter;
    std::optional<Footprint> footprint;
    std::vector<std::string> notes; ///< what was left out, and why
};

/// p in 0..1; reorders the samples; 0 if there are none.
double percentile(std::vector<double> &samples, double p);

/// One line for each, from the measuring process to the reporting one.
void write_wire(std::ostream &out, const Series &series);
bool read_wire(const std::string &line, Series &series);

void print_table(std::ostream &out, const Report &report);
void print_json(std::ostream &out, const Report &report);

/// Takes the ratios of an earlier run from its JSON. Throws std::runtime_error if it is none.
void compare_with(std::istream &json, Report &report);

} // namespace bench

#endif
