// SPDX-License-Identifier: MIT
#include "audit/stats.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

using namespace clone2;
using clone2::test::Random;

namespace
{

bool close_to(std::int64_t found, std::int64_t exact)
{
    // As documented. long double, so that the check itself is exact.
    return std::abs(static_cast<long double>(found) - static_cast<long double>(exact)) <=
           0.125L * static_cast<long double>(exact);
}

/// The smallest value that `percent` of the calls do not exceed.
std::int64_t exact_percentile(std::vector<std::int64_t> values, unsigned percent)
{
    std::sort(values.begin(), values.end());
    const std::size_t rank = (values.size() * percent + 99) / 100;
    return values[std::max<std::size_t>(rank, 1) - 1];
}

} // namespace

TEST_CASE("Stats: nothing counted, nothing reported")
{
    const Stats stats;
    for (unsigned percent = 1; percent <= 100; ++percent) {
        CHECK(stats.percentile(percent) == 0);
    }
    CHECK_FALSE(stats.summary().empty());
}

TEST_CASE("Stats: a call passed to the kernel is counted separately, its latency with the others")
{
    Stats stats;
    stats.add(77, 100);
    stats.add(std::nullopt, 100);
    stats.add(std::nullopt, 100);
    const std::string summary = stats.summary();
    INFO(summary);
    CHECK(summary.find("calls: 3\n") != std::string::npos);
    CHECK(summary.find("success: 1\n") != std::string::npos);
    CHECK(summary.find("passed to the kernel: 2\n") != std::string::npos);
    CHECK(close_to(stats.percentile(50), 100));
}

TEST_CASE("Stats: the same as JSON, and for Prometheus")
{
    Stats stats;
    stats.add(77, 100);
    stats.add(78, 100);
    stats.add(-EBUSY, 100);
    stats.add(std::nullopt, 100);
    CHECK(stats.json() == "{\"calls\":4,\"results\":{\"success\":2,\"EBUSY\":1},"
                          "\"passed_to_kernel\":1,\"latency_us\":{\"p50\":103,\"p99\":103}}\n");
    const std::string text = stats.prometheus();
    INFO(text);
    CHECK(text.find("clone2_calls_total{result=\"success\"} 2\n") != std::string::npos);
    CHECK(text.find("clone2_calls_total{result=\"EBUSY\"} 1\n") != std::string::npos);
    CHECK(text.find("clone2_call_microseconds_sum 400\n") != std::string::npos);
    CHECK(text.find("clone2_call_microseconds_count 4\n") != std::string::npos);
    CHECK(text.back() == '\n');
}

TEST_CASE("Stats: one call of any latency, within 12.5 percent")
{
    std::vector<std::int64_t> values;
    for (std::int64_t i = 0; i < 300; ++i) {
        values.push_back(i);
    }
    for (unsigned bit = 8; bit < 47; ++bit) {
        const std::int64_t power = std::int64_t{1} << bit;
        for (int eighth = 0; eighth < 16; ++eighth) {
            values.push_back(power + power / 16 * eighth);
            values.push_back(power + power / 16 * eighth - 1);
        }
    }
    for (const std::int64_t value : values) {
        Stats stats;
        stats.add(1, value);
        for (const unsigned percent : {1U, 50U, 99U, 100U}) {
            const std::int64_t found = stats.percentile(percent);
            CAPTURE(value);
            CAPTURE(found);
            CHECK(close_to(found, value));
        }
    }
}

TEST_CASE("Stats: percentiles of many calls")
{
    Random random(7);
    for (const std::size_t count : {2U, 3U, 10U, 99U, 100U, 101U, 5000U}) {
        Stats stats;
        std::vector<std::int64_t> values;
        for (std::size_t i = 0; i < count; ++i) {
            values.push_back(static_cast<std::int64_t>(random.next() >> (20 + random.next() % 40)));
            stats.add(1, values.back());
        }
        std::int64_t last = 0;
        for (unsigned percent = 1; percent <= 100; ++percent) {
            const std::int64_t found = stats.percentile(percent);
            const std::int64_t exact = exact_percentile(values, percent);
            CAPTURE(count);
            CAPTURE(percent);
            CAPTURE(found);
            CAPTURE(exact);
            CHECK(close_to(found, exact));
            CHECK(found >= last);
            last = found;
        }
    }
}

TEST_CASE("Stats: latencies beyond every bucket are counted with the highest")
{
    Stats stats;
    stats.add(1, std::numeric_limits<std::int64_t>::max());
    stats.add(1, std::int64_t{1} << 62U);
    stats.add(1, std::int64_t{1} << 48U);
    CHECK(stats.percentile(1) >= std::int64_t{1} << 46U);
    CHECK(stats.percentile(100) >= std::int64_t{1} << 46U);
    stats.add(1, 0);
    CHECK(stats.percentile(1) == 0);
}

TEST_CASE("Stats: the summary counts each result")
{
    Stats stats;
    for (int i = 0; i < 1234; ++i) {
        stats.add(4000 + i, 100);
    }
    for (int i = 0; i < 77; ++i) {
        stats.add(-EBUSY, 100);
    }
    for (int i = 0; i < 55; ++i) {
        stats.add(-EPERM, 100);
    }
    stats.add(-4011, 100);
    const std::string text = stats.summary();
    INFO(text);
    for (const char *part : {"1234", "77", "55", "EBUSY", "EPERM", "4011"}) {
        CHECK(text.find(part) != std::string::npos);
    }
    CHECK(text.find("EINVAL") == std::string::npos);
    CHECK(text.back() == '\n');
}

TEST_CASE("Stats: values that are not an errno are counted together")
{
    Stats stats;
    for (std::int64_t i = 4096; i < 14096; ++i) {
        stats.add(-i, 100);
    }
    stats.add(std::numeric_limits<std::int64_t>::min(), 100);
    stats.add(-4095, 100);
    const std::string text = stats.summary();
    INFO(text);
    CHECK(text.find("no errno: 10001\n") != std::string::npos);
    CHECK(text.find("errno 4095: 1\n") != std::string::npos);
    CHECK(std::count(text.begin(), text.end(), '\n') == 4);
}

TEST_CASE("Stats: threads in parallel lose nothing")
{
    Stats stats;
    constexpr int each = 5000;
    constexpr int workers = 4;
    std::vector<std::thread> threads;
    for (int worker = 0; worker < workers; ++worker) {
        threads.emplace_back([&stats, worker] {
            for (int i = 0; i < each; ++i) {
                stats.add(worker % 2 == 0 ? 1 : -EBUSY, i);
                if (i % 500 == 0) {
                    (void)stats.summary();
                    (void)stats.percentile(50);
                }
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    const std::string text = stats.summary();
    INFO(text);
    CHECK(text.find("10000") != std::string::npos);
    CHECK(close_to(stats.percentile(50), each / 2));
}
