// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <sys/types.h>

namespace clone2
{

enum class Verbosity {
    quiet,
    normal,
    verbose, ///< what is happening
    tracing  ///< and each stage of each call
};

/// Messages for people. They go to stderr unless a derived class sends them elsewhere, and never to
/// stdout. They contain names, paths and texts chosen by a target, a peer or a file, so each
/// message is made printable here and shortened: none can start a new line, move a terminal's
/// cursor, or fill what holds the messages. Thread-safe.
class Diagnostics
{
public:
    explicit Diagnostics(Verbosity verbosity) : verbosity_(verbosity) {}
    Diagnostics(const Diagnostics &) = delete;
    Diagnostics &operator=(const Diagnostics &) = delete;
    virtual ~Diagnostics() = default;

    /// Something went wrong for a target. At most ten messages in ten seconds; the next one says
    /// how many were dropped. Each user has its own ten, so that none can hide another's; `user`:
    /// whose target or peer it is about, nullopt: nobody's.
    void warn(const std::string &message, std::optional<uid_t> user = std::nullopt);
    /// Whether info() prints anything.
    [[nodiscard]] bool informs() const { return verbosity_ >= Verbosity::verbose; }
    /// What is happening; shown with -v.
    void info(const std::string &message) const;
    /// Whether trace() prints anything.
    [[nodiscard]] bool traces() const { return verbosity_ == Verbosity::tracing; }
    /// A stage of a call; shown with -vv. See CallTrace.
    void trace(const std::string &message) const;
    /// One line on stderr at any verbosity, prefixed with our name: why this process ends.
    static void line(const std::string &message);

protected:
    enum class Level { warning, info };
    /// Outputs one printable message, given without a newline.
    virtual void tell(Level level, const std::string &message) const;

private:
    Verbosity verbosity_;
    std::mutex mutex_;
    struct Window {
        std::chrono::steady_clock::time_point begin;
        unsigned shown = 0;
        unsigned suppressed = 0;
    };
    Window &window_of(std::optional<uid_t> user, std::chrono::steady_clock::time_point now);

    std::map<std::optional<uid_t>, Window> windows_;
};

} // namespace clone2
