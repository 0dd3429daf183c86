// SPDX-License-Identifier: MIT
#pragma once

#include "audit/log.hpp"
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

/// The log's file as --log names it, and what it is called from any directory; both empty where no
/// file was asked for.
struct LogFile {
    Fd fd;
    std::string path;
};
/// Ends the process where it can't be opened.
[[nodiscard]] LogFile open_log(const Options &options);

/// The log and the statistics, as far as they were asked for. Thread-safe. No call waits for
/// either.
class CallAudit final : public AuditSink
{
public:
    CallAudit(const Options &options, LogFile log, QueuedDiagnostics &diagnostics);

    void record(const CallRecord &record) override;
    [[nodiscard]] bool wants_successes() const override { return stats_asked_ || log_; }
    [[nodiscard]] bool wants_details() const override { return log_ != nullptr; }

    /// Opens the log's file anew, by its name: the old one may have been renamed.
    void reopen();

    /// Prints what was asked for at the end, once, and runs `then` when it is written.
    void finish(std::function<void()> then = [] {});

    /// Until all is written, but for some seconds only.
    void flush();

private:
    QueuedDiagnostics &diagnostics_;
    const bool stats_asked_;
    const LogFormat format_;
    const std::string path_;
    Stats stats_;
    std::optional<LineWriter> file_;
    LineWriter *log_; ///< null: none; stderr's, or `file_`
    std::atomic<bool> finished_{false};
};

} // namespace clone2::cli
