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

/// Counts calls by result and their latencies, in bounded memory. Thread-safe.
class Stats
{
public:
    /// `result`: a pid or -errno; nullopt: passed to the kernel, so unknown. `latency_us`: >= 0.
    void add(std::optional<std::int64_t> result, std::int64_t latency_us);
    /// A few lines of text for people.
    [[nodiscard]] std::string summary() const;
    /// The same as one line of JSON.
    [[nodiscard]] std::string json() const;
    /// The same as Prometheus reads it.
    [[nodiscard]] std::string prometheus() const;
    /// The latency (microseconds) that `percent` (1..100) of the calls do not exceed, to within
    /// 12.5 percent; 0 without calls.
    [[nodiscard]] std::int64_t percentile(unsigned percent) const;

private:
    // Eight buckets for each power of two.
    static constexpr std::size_t buckets = std::size_t{8} * 48;
    [[nodiscard]] std::int64_t percentile_locked(unsigned percent) const;

    mutable std::mutex mutex_;
    std::map<int, std::uint64_t> by_errno_; ///< 0: success, -1: not an errno
    std::uint64_t passed_ = 0;              ///< passed to the kernel
    std::array<std::uint64_t, buckets> histogram_{};
    std::uint64_t count_ = 0;
    std::int64_t sum_us_ = 0;
};

} // namespace clone2
