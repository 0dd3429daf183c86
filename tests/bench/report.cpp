// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <algorithm>
#include <iomanip>
#include <limits>
#include <ostream>
#include <sstream>
#include <sys/utsname.h>
#include <thread>

namespace bench
{
namespace
{

std::string quoted(const std::string &text)
{
    std::ostringstream out;
    out << '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out << '\\' << c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out << "\\u" << std::hex << std::setw(4) << std::setfill('0') << static_cast<int>(c);
        } else {
            out << c;
        }
    }
    out << '"';
    return out.str();
}

std::string kernel()
{
    utsname name{};
    return uname(&name) == 0 ? name.release : "?";
}

void print_series(std::ostream &out, const std::vector<Series> &all)
{
    out << std::left << std::setw(36) << "create, exit, wait (median)" << std::right << std::setw(8)
        << "callers" << std::setw(12) << "native us" << std::setw(15) << "clone2 us" << std::setw(8)
        << "ratio" << std::setw(10) << "rounds" << '\n';
    for (const Series &s : all) {
        out << std::left << std::setw(36) << s.name << std::right << std::setw(8) << s.callers
            << std::fixed << std::setprecision(1) << std::setw(12) << s.native_median
            << std::setw(15) << s.supervised_median << std::setprecision(2) << std::setw(8)
            << s.ratio() << std::setw(10) << s.rounds << '\n';
    }
}

} // namespace

double percentile(std::vector<double> &samples, double p)
{
    if (samples.empty()) {
        return 0;
    }
    const auto index = static_cast<std::ptrdiff_t>(p * static_cast<double>(samples.size() - 1));
    std::nth_element(samples.begin(), samples.begin() + index, samples.end());
    return samples[static_cast<std::size_t>(index)];
}

void write_wire(std::ostream &out, const Series &s)
{
    out << "series " << std::setprecision(std::numeric_limits<double>::max_digits10) << s.callers
        << ' ' << s.native_median << ' ' << s.supervised_median << ' ' << s.native_p99 << ' '
        << s.supervised_p99 << ' ' << s.rounds << ' ' << s.name << std::endl;
}

bool read_wire(const std::string &line, Series &s)
{
    std::istringstream in(line);
    std::string word;
    in >> word >> s.callers >> s.native_median >> s.supervised_median >> s.native_p99 >>
        s.supervised_p99 >> s.rounds;
    return word == "series" && std::getline(in >> std::ws, s.name);
}

void print_table(std::ostream &out, const Report &r)
{
    print_series(out, r.series);
    if (r.filter) {
        out << std::fixed << std::setprecision(1) << "\ngetppid() (median)   no filter "
            << r.filter->no_filter << " ns, allow-all filter " << r.filter->allow_all
            << " ns, supervised " << r.filter->supervised << " ns\n";
    }
    if (r.footprint) {
        const Footprint &f = *r.footprint;
        out << std::fixed << std::setprecision(1) << "\nserving process      " << f.targets
            << " sleeping targets: RSS " << f.rss_before_kib << " -> " << f.rss_kib << " KiB, PSS "
            << f.pss_before_kib << " -> " << f.pss_kib << " KiB\n                     CPU "
            << f.cpu_per_call_us << " us per call, " << f.idle_cpu_us << " us in " << f.idle_seconds
            << " idle seconds\n";
    }
    for (const std::string &note : r.notes) {
        out << "note: " << note << '\n';
    }
}

void print_json(std::ostream &out, const Report &r)
{
    out << "{\n  \"kernel\": " << quoted(kernel())
        << ",\n  \"cpus\": " << std::thread::hardware_concurrency()
        << ",\n  \"quick\": " << (r.quick ? "true" : "false") << ",\n  \"round_trips\": [";
    const char *separator = "\n";
    for (const Series &s : r.series) {
        out << separator << "    {\"name\": " << quoted(s.name) << ", \"callers\": " << s.callers
            << ", \"native_us\": " << s.native_median
            << ", \"supervised_us\": " << s.supervised_median << ", \"ratio\": " << s.ratio()
            << ", \"native_p99_us\": " << s.native_p99
            << ", \"supervised_p99_us\": " << s.supervised_p99 << ", \"rounds\": " << s.rounds
            << '}';
        separator = ",\n";
    }
    out << "\n  ],\n  \"getppid\": ";
    if (r.filter) {
        out << "{\"no_filter_ns\": " << r.filter->no_filter
            << ", \"allow_all_ns\": " << r.filter->allow_all
            << ", \"supervised_ns\": " << r.filter->supervised << '}';
    } else {
        out << "null";
    }
    out << ",\n  \"footprint\": ";
    if (r.footprint) {
        const Footprint &f = *r.footprint;
        out << "{\"targets\": " << f.targets << ", \"rss_before_kib\": " << f.rss_before_kib
            << ", \"rss_kib\": " << f.rss_kib << ", \"pss_before_kib\": " << f.pss_before_kib
            << ", \"pss_kib\": " << f.pss_kib << ", \"cpu_per_call_us\": " << f.cpu_per_call_us
            << ", \"idle_seconds\": " << f.idle_seconds << ", \"idle_cpu_us\": " << f.idle_cpu_us
            << '}';
    } else {
        out << "null";
    }
    out << ",\n  \"notes\": [";
    separator = "";
    for (const std::string &note : r.notes) {
        out << separator << quoted(note);
        separator = ", ";
    }
    out << "]\n}\n";
}

} // namespace bench
