// SPDX-License-Identifier: MIT
// The report as JSON, and ratios from an earlier one.
#include "report.hpp"

#include <nlohmann/json.hpp>

#include <istream>
#include <ostream>
#include <stdexcept>
#include <sys/utsname.h>
#include <thread>

namespace bench
{
namespace
{

using Json = nlohmann::ordered_json;

std::string kernel()
{
    utsname name{};
    return uname(&name) == 0 ? name.release : "?";
}

Json share(const std::optional<double> &value)
{
    return value ? Json(*value) : Json();
}

Json object(const Series &s)
{
    return {{"name", s.name},
            {"callers", s.callers},
            {"native_us", s.native_median},
            {"supervised_us", s.supervised_median},
            {"ratio", s.ratio()},
            {"native_p99_us", s.native_p99},
            {"supervised_p99_us", s.supervised_p99},
            {"server_cpu_us", s.server_cpu},
            {"rounds", s.rounds}};
}

Json object(const FilterCost &f)
{
    return {{"no_filter_ns", f.no_filter},
            {"allow_all_ns", f.allow_all},
            {"supervised_ns", f.supervised}};
}

Json object(const Footprint &f)
{
    return {{"targets", f.targets},           {"rss_before_kib", f.rss_before_kib},
            {"rss_kib", f.rss_kib},           {"pss_before_kib", f.pss_before_kib},
            {"pss_kib", f.pss_kib},           {"cpu_per_call_us", f.cpu_per_call_us},
            {"idle_seconds", f.idle_seconds}, {"idle_cpu_us", f.idle_cpu_us}};
}

} // namespace

void print_json(std::ostream &out, const Report &r)
{
    Json round_trips = Json::array();
    for (const Series &s : r.series) {
        round_trips.push_back(object(s));
    }
    const Json all{{"kernel", kernel()},
                   {"cpus", std::thread::hardware_concurrency()},
                   {"quick", r.quick},
                   {"idle_before", share(r.idle_before)},
                   {"idle_after", share(r.idle_after)},
                   {"round_trips", round_trips},
                   {"getppid", r.filter ? object(*r.filter) : Json()},
                   {"footprint", r.footprint ? object(*r.footprint) : Json()},
                   {"notes", r.notes}};
    out << all.dump(2) << '\n';
}

void compare_with(std::istream &json, Report &report)
{
    try {
        const Json earlier = Json::parse(json);
        for (const Json &row : earlier.at("round_trips")) {
            for (Series &s : report.series) {
                const double ratio = row.at("ratio");
                if (row.at("name") == s.name && row.at("callers") == s.callers && ratio > 0) {
                    s.earlier_ratio = ratio;
                }
            }
        }
        for (const Json &note : earlier.at("notes")) {
            report.notes.push_back("earlier run: " + note.get<std::string>());
        }
    } catch (const nlohmann::json::exception &error) {
        throw std::runtime_error(std::string("not a result of clone2-bench: ") + error.what());
    }
}

} // namespace bench
