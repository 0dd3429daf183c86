// SPDX-License-Identifier: MIT
#include "audit/stats.hpp"

#include "base/kernel_limits.hpp"
#include "plan/flags.hpp"

#include <algorithm>
#include <bit>
#include <initializer_list>
#include <nlohmann/json.hpp>

namespace clone2
{

namespace
{

constexpr std::uint64_t steps = 8; // buckets per power of two

/// Keys of the map may come from a target. Only what is in the kernel's range is an errno.
constexpr int no_errno = -1;

std::string describe(int key)
{
    if (key == no_errno) {
        return "no errno";
    }
    return key == 0 ? "success" : errno_name(key);
}

std::size_t bucket_of(std::uint64_t value)
{
    if (value < steps) {
        return value;
    }
    const auto exponent = static_cast<unsigned>(std::bit_width(value)) - 4; // 0 for 8..15
    return steps + exponent * steps + ((value >> exponent) - steps);
}

/// The largest value in a bucket.
std::uint64_t top_of(std::size_t bucket)
{
    if (bucket < steps) {
        return bucket;
    }
    const std::size_t exponent = (bucket - steps) / steps;
    const std::uint64_t mantissa = (bucket - steps) % steps + steps;
    return ((mantissa + 1) << exponent) - 1;
}

} // namespace

void Stats::add(std::optional<std::int64_t> result, std::int64_t latency_us)
{
    const std::size_t bucket =
        bucket_of(static_cast<std::uint64_t>(std::max<std::int64_t>(latency_us, 0)));
    const std::lock_guard lock(mutex_);
    if (result) {
        ++by_errno_[*result >= 0                ? 0
                    : *result >= -highest_errno ? static_cast<int>(-*result)
                                                : no_errno];
    } else {
        ++passed_;
    }
    ++histogram_[std::min(bucket, histogram_.size() - 1)];
    ++count_;
    sum_us_ += std::max<std::int64_t>(latency_us, 0);
}

std::int64_t Stats::percentile_locked(unsigned percent) const
{
    const std::uint64_t rank = (count_ * percent + 99) / 100;
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < histogram_.size(); ++bucket) {
        seen += histogram_[bucket];
        if (rank > 0 && seen >= rank) {
            return static_cast<std::int64_t>(top_of(bucket));
        }
    }
    return 0;
}

std::int64_t Stats::percentile(unsigned percent) const
{
    const std::lock_guard lock(mutex_);
    return percentile_locked(percent);
}

std::string Stats::json() const
{
    const std::lock_guard lock(mutex_);
    nlohmann::ordered_json line;
    line["calls"] = count_;
    line["results"] = nlohmann::ordered_json::object();
    for (const auto &[err, count] : by_errno_) {
        line["results"][describe(err)] = count;
    }
    line["passed_to_kernel"] = passed_;
    line["latency_us"] = {{"p50", percentile_locked(50)}, {"p99", percentile_locked(99)}};
    return line.dump() + "\n";
}

std::string Stats::prometheus() const
{
    const std::lock_guard lock(mutex_);
    std::string text = "# HELP clone2_calls_total Completed calls, by result.\n"
                       "# TYPE clone2_calls_total counter\n";
    const auto count_of = [&](const std::string &result, std::uint64_t count) {
        text += "clone2_calls_total{result=\"" + result + "\"} " + std::to_string(count) + "\n";
    };
    for (const auto &[err, count] : by_errno_) {
        count_of(describe(err), count);
    }
    if (passed_ > 0) {
        count_of("passed to the kernel", passed_);
    }
    text += "# HELP clone2_call_microseconds From receiving a call to answering it.\n"
            "# TYPE clone2_call_microseconds summary\n";
    for (const unsigned percent : {50U, 99U}) {
        text += "clone2_call_microseconds{quantile=\"0." + std::to_string(percent) + "\"} " +
                std::to_string(percentile_locked(percent)) + "\n";
    }
    return text + "clone2_call_microseconds_sum " + std::to_string(sum_us_) +
           "\nclone2_call_microseconds_count " + std::to_string(count_) + "\n";
}

std::string Stats::summary() const
{
    const std::lock_guard lock(mutex_);
    std::string text = "clone2 calls: " + std::to_string(count_) + "\n";
    for (const auto &[err, count] : by_errno_) {
        text += "  " + describe(err) + ": " + std::to_string(count) + "\n";
    }
    if (passed_ > 0) {
        text += "  passed to the kernel: " + std::to_string(passed_) + "\n";
    }
    if (count_ > 0) {
        text += "latency p50: " + std::to_string(percentile_locked(50)) +
                " us, p99: " + std::to_string(percentile_locked(99)) + " us\n";
    }
    return text;
}

} // namespace clone2
