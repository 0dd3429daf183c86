// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <mutex>
#include <string>

namespace clone2
{

enum class Verbosity { quiet, normal, verbose };

/// Messages for people, on stderr unless a derived class takes them elsewhere; never on stdout.
/// Names, paths and texts that a target, a peer or a file has chosen are part of them: so each
/// message is made printable here, and none can begin a line or move a terminal's cursor.
/// Thread-safe.
class Diagnostics
{
public:
    explicit Diagnostics(Verbosity verbosity) : verbosity_(verbosity) {}
    Diagnostics(const Diagnostics &) = delete;
    Diagnostics &operator=(const Diagnostics &) = delete;
    virtual ~Diagnostics() = default;

    /// Something went wrong for a target. At most ten in ten seconds; how many more there were
    /// is told with the next one.
    void warn(const std::string &message);
    /// What is going on, with -v.
    void info(const std::string &message) const;
    /// One line on stderr whatever the verbosity, after our name: why this process ends.
    static void line(const std::string &message);

protected:
    enum class Level { warning, info };
    /// One message, printable, without a line's end.
    virtual void tell(Level level, const std::string &message) const;

private:
    Verbosity verbosity_;
    std::mutex mutex_;
    std::chrono::steady_clock::time_point window_begin_;
    unsigned in_window_ = 0;
    unsigned suppressed_ = 0;
};

} // namespace clone2
