// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace clone2
{

/// Counts of calls per result and their latencies, in bounded memory. Thread-safe.
class Stats
{
public:
    /// `result`: a pid or -errno; nullopt: passed to the kernel, so not known; `latency_us` >= 0,
    /// in microseconds.
    void add(std::optional<std::int64_t> result, std::int64_t latency_us);
    /// Some lines of text, for people.
    [[nodiscard]] std::string summary() const;
    /// The latency (microseconds) below which `percent` (1..100) of the calls lie, within
    /// 12.5 percent; 0 without calls.
    [[nodiscard]] std::int64_t percentile(unsigned percent) const;

private:
    // Eight buckets for each power of two.
    static constexpr std::size_t buckets = std::size_t{8} * 48;
    [[nodiscard]] std::int64_t percentile_locked(unsigned percent) const;

    mutable std::mutex mutex_;
    std::map<int, std::uint64_t> by_errno_; ///< 0: success, -1: none there is
    std::uint64_t passed_ = 0;              ///< to the kernel
    std::array<std::uint64_t, buckets> histogram_{};
    std::uint64_t count_ = 0;
};

} // namespace clone2
