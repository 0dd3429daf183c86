// SPDX-License-Identifier: MIT
#pragma once

#include "agent/policy.hpp"
#include "base/diagnostics.hpp"

#include <memory>
#include <mutex>
#include <string>

namespace clone2::agent
{

/// Holds the current policy, read from the file of --policy. Thread-safe.
class PolicyHolder
{
public:
    /// `path`: empty if there is no policy. `results_known`: false if children can't be counted.
    /// Throws std::runtime_error if the file can't be read.
    PolicyHolder(std::string path, bool results_known);

    /// nullptr: no policy, everything is allowed.
    [[nodiscard]] std::shared_ptr<const Policy> current() const;
    /// Reads the file again. If it is broken, warns and keeps the current policy.
    void reload(Diagnostics &diagnostics);

private:
    [[nodiscard]] std::string load();

    const std::string path_;
    const bool results_known_;
    mutable std::mutex mutex_;
    std::shared_ptr<const Policy> policy_;
};

} // namespace clone2::agent
