// SPDX-License-Identifier: MIT
#pragma once

#include "abi/call_table.hpp"
#include "base/diagnostics.hpp"
#include "base/procfs.hpp"
#include "listener/notification.hpp"

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace clone2::cli
{

/// Calls that PROGRAM makes by mistake, because nobody serves them; each is mentioned once.
/// Thread-safe.
class Mistakes
{
public:
    /// `watched`: those that the filter gives to us. `asked`: what --nr says.
    Mistakes(std::vector<TrappedCall> watched, CallTable asked, Diagnostics &diagnostics,
             std::shared_ptr<const Procfs> procfs)
        : asked_(std::move(asked)), diagnostics_(diagnostics), procfs_(std::move(procfs)),
          watched_(std::move(watched))
    {
    }

    void mention(const Notification &notification);

private:
    const CallTable asked_;
    Diagnostics &diagnostics_;
    const std::shared_ptr<const Procfs> procfs_;
    std::mutex mutex_;
    std::vector<TrappedCall> watched_; ///< those that were not mentioned yet
};

} // namespace clone2::cli
