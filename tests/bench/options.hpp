// SPDX-License-Identifier: MIT
#ifndef CLONE2_BENCH_OPTIONS_HPP
#define CLONE2_BENCH_OPTIONS_HPP

#include <stdexcept>
#include <string>
#include <sys/types.h>
#include <vector>

namespace bench
{

struct Options {
    bool quick = false;
    double seconds = 0;
    long number = 387;
    std::string json, against, supervisor, library, shim;
    std::vector<std::string> rows; ///< parts of the names of rows wanted; empty: all
    // How clone2-bench calls itself.
    std::string role;
    pid_t server = 0;
    std::vector<std::string> words;

    /// Whether --row asks for it.
    bool wants(const std::string &row) const;
};

struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Throws UsageError; --help prints and exits.
Options parse(int argc, char **argv);
double positive(const char *text);

} // namespace bench

#endif
