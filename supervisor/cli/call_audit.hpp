// SPDX-License-Identifier: MIT
#pragma once

#include "audit/log.hpp"
#include "audit/self_served.hpp"
#include "audit/stats.hpp"
#include "base/line_writer.hpp"
#include "cli/options.hpp"
#include "cli/queued_diagnostics.hpp"

#include <atomic>
#include <functional>
#include <optional>
#include <string>

namespace clone2::cli
{

/// The log file given by --log, and its absolute name. Both are empty without --log.
struct LogFile {
    Fd fd;
    std::string path;
};
/// The absolute name of a file.
[[nodiscard]] std::string from_anywhere(const std::string &path);
/// Ends the process if the file can't be opened.
[[nodiscard]] LogFile open_log(const Options &options);

/// Writes the log and collects the statistics, if asked for. Thread-safe. Calls never wait for
/// either.
class CallAudit final : public AuditSink
{
public:
    CallAudit(const Options &options, LogFile log, QueuedDiagnostics &diagnostics);

    void record(const CallRecord &record) override;
    [[nodiscard]] bool wants_successes() const override { return counts_ || log_; }
    [[nodiscard]] bool wants_details() const override { return log_ != nullptr; }

    /// Writes to the log that libclone2 serves a process. Empty: there is no log.
    [[nodiscard]] std::function<void(const SelfServed &)> self_served();

    /// Reopens the log file by name, since the old file may have been renamed.
    void reopen();

    /// Prints the counters, if there are any.
    void print();
    /// The counters as Prometheus reads them.
    [[nodiscard]] std::string prometheus() const { return stats_.prometheus(); }

    /// Prints the final output once, then runs `then`.
    void finish(std::function<void()> then = [] {});

    /// Waits until everything is written, but a few seconds at most.
    void flush();

private:
    QueuedDiagnostics &diagnostics_;
    const bool stats_asked_;
    const bool counts_; ///< --stats or --metrics
    const bool json_;
    const LogFormat format_;
    const std::string path_;
    Stats stats_;
    std::optional<LineWriter> file_;
    LineWriter *log_; ///< null: no log; points to stderr's writer or to `file_`
    std::atomic<bool> finished_{false};
};

} // namespace clone2::cli
