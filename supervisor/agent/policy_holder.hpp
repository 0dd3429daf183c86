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
    /// Throws std::runtime_error if the file can't be read. Starts no thread, so fork() may follow.
    PolicyHolder(std::string path, bool results_known);
    PolicyHolder(const PolicyHolder &) = delete;
    PolicyHolder &operator=(const PolicyHolder &) = delete;
    /// Does not wait for reload().
    ~PolicyHolder();

    /// nullptr: no policy, everything is allowed.
    [[nodiscard]] std::shared_ptr<const Policy> current() const;
    /// Has a thread read the file again, which may take long: the current policy stays until then,
    /// or for good if the file is broken. Reports what becomes of it. `diagnostics` must outlive
    /// this.
    void reload(Diagnostics &diagnostics);

private:
    struct State; // the thread may outlive us

    const std::shared_ptr<State> state_;
};

} // namespace clone2::agent
