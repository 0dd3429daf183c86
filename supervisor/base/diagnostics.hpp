// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <mutex>
#include <string>

namespace clone2
{

enum class Verbosity { quiet, normal, verbose };

/// Messages for people, on stderr, never on stdout. Thread-safe.
class Diagnostics
{
public:
    explicit Diagnostics(Verbosity verbosity) : verbosity_(verbosity) {}

    /// Something went wrong for a target. At most ten in ten seconds; how many more there were
    /// is told with the next one.
    void warn(const std::string &message);
    /// What is going on, with -v.
    void info(const std::string &message) const;
    /// Printed whatever the verbosity (asked for, as statistics are).
    static void print(const std::string &text);

private:
    Verbosity verbosity_;
    std::mutex mutex_;
    std::chrono::steady_clock::time_point window_begin_;
    unsigned in_window_ = 0;
    unsigned suppressed_ = 0;
};

} // namespace clone2
