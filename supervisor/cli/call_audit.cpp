// SPDX-License-Identifier: MIT
#include "cli/call_audit.hpp"

#include "base/printable.hpp"
#include "cli/own_failure.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace clone2::cli
{

namespace
{

/// Opens a FIFO without waiting for a reader; a reader that comes later gets what its buffer holds.
Fd open_file(const std::string &path)
{
    constexpr int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    Fd file{::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | flags, 0644)};
    if (!file && errno == ENXIO) {
        file = Fd{::open(path.c_str(), O_RDWR | flags)};
    }
    // The open file description is ours, so making it blocking affects no one else.
    if (file) {
        (void)::fcntl(file.get(), F_SETFL, O_APPEND);
    }
    return file;
}

} // namespace

std::string from_anywhere(const std::string &path)
{
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(path, error);
    return error ? path : absolute.string();
}

LogFile open_log(const Options &options)
{
    if (!options.log || *options.log == "-") {
        return {};
    }
    LogFile log{open_file(*options.log), from_anywhere(*options.log)};
    if (!log.fd) {
        fail("--log " + printable(*options.log) + ": " + std::strerror(errno));
    }
    return log;
}

CallAudit::CallAudit(const Options &options, LogFile log, QueuedDiagnostics &diagnostics)
    : diagnostics_(diagnostics), stats_asked_(options.stats),
      counts_(options.stats || options.metrics), json_(options.json), format_(options.log_format),
      path_(std::move(log.path)), log_(options.log ? &diagnostics.lines() : nullptr)
{
    if (!log.fd) {
        return;
    }
    const auto dropped_line = [format = format_](std::uint64_t dropped) {
        return format_dropped(dropped, format);
    };
    const auto failed = [this](int err) {
        diagnostics_.warn(std::string("the log can't be written: lines are lost: ") +
                          std::strerror(err));
    };
    log_ = &file_.emplace(std::move(log.fd), LineWriter::Options{dropped_line, failed});
}

void CallAudit::record(const CallRecord &record)
{
    if (counts_) {
        stats_.add(record.passed_to_kernel ? std::nullopt : std::optional(record.result),
                   record.latency_us);
    }
    if (log_ != nullptr) {
        log_->write(format_ == LogFormat::json ? format_json(record) : format_text(record),
                    record.uid);
    }
}

std::function<void(const SelfServed &)> CallAudit::self_served()
{
    if (log_ == nullptr) {
        return {};
    }
    return [this](const SelfServed &process) {
        log_->write(format_self_served(process, format_), process.uid);
    };
}

void CallAudit::reopen()
{
    if (!file_) {
        return;
    }
    file_->reopen([path = path_] { return open_file(path); },
                  [this](int err) {
                      diagnostics_.warn("--log " + printable(path_) +
                                        " can't be opened again: " + std::strerror(err));
                  });
}

void CallAudit::print()
{
    if (!counts_) {
        diagnostics_.warn("no calls are counted without --stats or --metrics");
        return;
    }
    diagnostics_.lines().write(json_ ? stats_.json() : stats_.summary());
}

void CallAudit::finish(std::function<void()> then)
{
    if (stats_asked_ && !finished_.exchange(true)) {
        print();
    }
    diagnostics_.lines().then(std::move(then));
}

void CallAudit::flush()
{
    if (file_) {
        file_->flush();
    }
    diagnostics_.lines().flush();
}

} // namespace clone2::cli
