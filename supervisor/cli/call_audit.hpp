// SPDX-License-Identifier: MIT
#pragma once

#include "audit/log.hpp"
#include "audit/stats.hpp"
#include "base/diagnostics.hpp"
#include "cli/options.hpp"

#include <atomic>
#include <optional>

namespace clone2::cli
{

/// The log's file; empty where none was asked for. Ends the process where it can't be opened.
[[nodiscard]] Fd open_log(const Options &options);

/// The log and the statistics, as far as they were asked for. Thread-safe.
class CallAudit final : public AuditSink
{
public:
    CallAudit(const Options &options, Fd log, Diagnostics &diagnostics)
        : diagnostics_(diagnostics), stats_asked_(options.stats)
    {
        if (log) {
            log_.emplace(std::move(log), options.log_format);
        }
    }

    void record(const CallRecord &record) override
    {
        if (stats_asked_) {
            stats_.add(record.passed_to_kernel ? std::nullopt : std::optional(record.result),
                       record.latency_us);
        }
        if (log_ && !log_->write(record) && !loss_told_.exchange(true)) {
            diagnostics_.warn("the log can't be written: lines are lost");
        }
    }
    [[nodiscard]] bool wants_successes() const override { return stats_asked_ || log_; }
    [[nodiscard]] bool wants_details() const override { return log_.has_value(); }

    /// Prints what was asked for at the end, once.
    void finish()
    {
        if (stats_asked_ && !finished_.exchange(true)) {
            Diagnostics::print(stats_.summary());
        }
    }

private:
    Diagnostics &diagnostics_;
    bool stats_asked_;
    Stats stats_;
    std::optional<CallLog> log_;
    std::atomic<bool> loss_told_{false};
    std::atomic<bool> finished_{false};
};

} // namespace clone2::cli
