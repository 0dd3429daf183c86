// SPDX-License-Identifier: MIT
#pragma once

#include "base/diagnostics.hpp"
#include "base/line_writer.hpp"

#include <unistd.h>

#include <string>

namespace clone2::cli
{

/// Messages on stderr, which may be a pipe without a reader. Calls never wait for them.
/// Thread-safe.
class QueuedDiagnostics final : public Diagnostics
{
public:
    explicit QueuedDiagnostics(Verbosity verbosity)
        : Diagnostics(verbosity), stderr_(STDERR_FILENO, {dropped_line, {}})
    {
    }

    /// For other output to stderr, in order with the messages.
    [[nodiscard]] LineWriter &lines() { return stderr_; }

private:
    static std::string dropped_line(std::uint64_t dropped)
    {
        return "clone2-supervise: " + std::to_string(dropped) + " lines were dropped here\n";
    }
    void tell(Level /*level*/, const std::string &message) const override
    {
        stderr_.write("clone2-supervise: " + message + "\n");
    }

    mutable LineWriter stderr_;
};

} // namespace clone2::cli
