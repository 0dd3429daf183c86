// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <algorithm>
#include <iomanip>
#include <limits>
#include <ostream>
#include <sstream>

namespace bench
{
namespace
{

void print_series(std::ostream &out, const std::vector<Series> &all)
{
    const bool compared = std::any_of(all.begin(), all.end(),
                                      [](const Series &s) { return s.earlier_ratio.has_value(); });
    out << std::left << std::setw(32) << "create, exit, wait (us)" << std::right << std::setw(8)
        << "callers" << std::setw(10) << "native" << std::setw(10) << "p99" << std::setw(10)
        << "clone2" << std::setw(10) << "p99" << std::setw(7) << "ratio"
        << (compared ? "  before  change" : "") << std::setw(8) << "CPU" << std::setw(8) << "rounds"
        << '\n';
    for (const Series &s : all) {
        out << std::left << std::setw(32) << s.name << std::right << std::setw(8) << s.callers
            << std::fixed << std::setprecision(1) << std::setw(10) << s.native_median
            << std::setw(10) << s.native_p99 << std::setw(10) << s.supervised_median
            << std::setw(10) << s.supervised_p99 << std::setprecision(2) << std::setw(7)
            << s.ratio();
        if (s.earlier_ratio) {
            out << std::setw(8) << *s.earlier_ratio << std::showpos << std::setprecision(0)
                << std::setw(7) << (s.ratio() / *s.earlier_ratio - 1) * 100 << '%'
                << std::noshowpos;
        } else if (compared) {
            out << std::setw(8) << '-' << std::setw(8) << '-';
        }
        out << std::setprecision(1) << std::setw(8);
        s.server_cpu > 0 ? out << s.server_cpu : out << '-';
        out << std::setw(8) << s.rounds << '\n';
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
        << s.supervised_p99 << ' ' << s.server_cpu << ' ' << s.rounds << ' ' << s.name << std::endl;
}

bool read_wire(const std::string &line, Series &s)
{
    std::istringstream in(line);
    std::string word;
    in >> word >> s.callers >> s.native_median >> s.supervised_median >> s.native_p99 >>
        s.supervised_p99 >> s.server_cpu >> s.rounds;
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

} // namespace bench
