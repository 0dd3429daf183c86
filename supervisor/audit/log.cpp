// SPDX-License-Identifier: MIT
#include "audit/log.hpp"

#include "audit/describe.hpp"
#include "audit/self_served.hpp"
#include "base/clock.hpp"
#include "base/printable.hpp"
#include "plan/flags.hpp"

#include <array>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

namespace clone2
{

namespace
{

/// ISO 8601 in UTC with microseconds.
std::string format_time(std::int64_t time_ns)
{
    const auto seconds = static_cast<std::time_t>(time_ns / 1'000'000'000);
    const auto micros = static_cast<int>(time_ns / 1000 % 1'000'000);
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    std::array<char, 40> text{};
    const std::size_t n = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
    std::array<char, 16> fraction{};
    (void)std::snprintf(fraction.data(), fraction.size(), ".%06dZ", micros);
    return std::string(text.data(), n) + fraction.data();
}

std::string asked_pids(const CallRecord &record)
{
    return record.nr_pids > record.pids.size() ? "(" + std::to_string(record.nr_pids) + " pids)"
                                               : describe_pids(record.pids);
}

/// ' uid=1000 peer="web"'.
std::string whose(const CallRecord &record)
{
    constexpr std::size_t shown = 64; // a peer may have a name of any length
    return (record.uid ? " uid=" + std::to_string(*record.uid) : std::string()) +
           (record.peer.empty()
                ? std::string()
                : " peer=\"" + printable(record.peer.substr(0, shown), "\\\"") + "\"");
}

} // namespace

std::string format_text(const CallRecord &record)
{
    std::string line = format_time(record.time_ns) + " " + std::to_string(record.tid) + " \"" +
                       printable(record.comm, "\\\"") + "\"" + whose(record) + " level=" +
                       (record.level ? std::to_string(*record.level) : std::string("?")) + " " +
                       std::string(record.abi->name) + "(" + describe_flags(record.flags) + ", " +
                       asked_pids(record) + ") = ";
    if (record.passed_to_kernel) {
        line += "? (passed to the kernel's own " + std::string(record.abi->name) + ")";
    } else if (record.result < 0) {
        line += "-1 " + errno_name(static_cast<int>(-record.result));
        if (!record.why.empty()) {
            line += " (" + printable(record.why, "") + ")";
        }
    } else {
        line += std::to_string(record.result);
        if (record.child_here != 0 && record.child_here != record.result) {
            line += " (here " + std::to_string(record.child_here) + ")";
        }
    }
    if (!record.doubt.empty()) {
        line += " [" + record.doubt + "]";
    }
    return line + " <" + std::to_string(record.latency_us) + " us>\n";
}

std::string format_json(const CallRecord &record)
{
    nlohmann::ordered_json line;
    line["time"] = format_time(record.time_ns);
    line["tid"] = record.tid;
    line["comm"] = record.comm;
    if (record.uid) {
        line["uid"] = *record.uid;
    }
    if (!record.peer.empty()) {
        line["peer"] = record.peer;
    }
    if (record.level) {
        line["level"] = *record.level;
    }
    line["flags"] = flag_names(record.flags);
    line["exit_signal"] = record.flags & 0xff;
    line["nr_pids"] = record.nr_pids;
    line["pids"] = record.pids;
    if (record.passed_to_kernel) {
        line["passed_to_kernel"] = true;
    } else {
        line["result"] = record.result;
    }
    if (record.child_here != 0) {
        line["child_here"] = record.child_here;
    }
    if (record.result < 0) {
        line["error"] = errno_name(static_cast<int>(-record.result));
        line["why"] = record.why;
    }
    if (!record.doubt.empty()) {
        line["doubt"] = record.doubt;
    }
    line["us"] = record.latency_us;
    return line.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string format_self_served(const SelfServed &process, LogFormat format)
{
    CallRecord record;
    record.uid = process.uid;
    record.peer = process.peer;
    const std::string time = format_time(now_ns(CLOCK_REALTIME));
    if (format == LogFormat::json) {
        nlohmann::ordered_json line;
        line["time"] = time;
        line["tid"] = process.tid;
        line["comm"] = process.comm;
        if (process.uid) {
            line["uid"] = *process.uid;
        }
        if (!process.peer.empty()) {
            line["peer"] = process.peer;
        }
        line["served_by"] = "libclone2";
        return line.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
    }
    return time + " " + std::to_string(process.tid) + " \"" + printable(process.comm, "\\\"") +
           "\"" + whose(record) + " serves calls itself, by libclone2: those are not logged here\n";
}

std::string format_dropped(std::uint64_t dropped, LogFormat format)
{
    const std::string time = format_time(now_ns(CLOCK_REALTIME));
    if (format == LogFormat::json) {
        nlohmann::ordered_json line;
        line["time"] = time;
        line["dropped"] = dropped;
        return line.dump() + "\n";
    }
    return time + " " + std::to_string(dropped) + " lines were dropped\n";
}

} // namespace clone2
