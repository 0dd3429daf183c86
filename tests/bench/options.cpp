// SPDX-License-Identifier: MIT
#include "options.hpp"

#include <algorithm>
#include <cstdlib>
#include <getopt.h>
#include <iostream>

namespace bench
{
namespace
{

constexpr const char *usage =
    "usage: clone2-bench [options]\n"
    "Compares clone2 under a supervisor, and by the library in the process, with the kernel's\n"
    "clone3+set_tid, alternating in one run. Runs itself under a supervisor if nothing answers\n"
    "clone2 yet, and in its own pid namespace. CPU is the serving process's, per call.\n"
    "  --quick            short budgets and fewer combinations (about 15 s)\n"
    "  --seconds S        budget of each row (4; quick: 0.5)\n"
    "  --row TEXT         only rows whose \"NAME/CALLERS\" contains it, as in \"small "
    "process/1\";\n"
    "                     may be given several times\n"
    "  --json FILE        write the results there, too\n"
    "  --against FILE     show the ratios of an earlier run's JSON beside these\n"
    "  --supervisor PATH  the supervisor (default: of the same build tree)\n"
    "  --library PATH     libclone2 to preload, and for trap mode (the same)\n"
    "  --shim PATH        clone2-shim (the same)\n"
    "  --nr N             number of clone2 (387)\n"
    "  --help\n";

} // namespace

double positive(const char *text)
{
    char *end = nullptr;
    const double value = std::strtod(text, &end);
    if (end == text || *end != '\0' || !(value > 0) || value > 1e9) {
        throw UsageError(std::string("not a positive number: ") + text);
    }
    return value;
}

bool Options::wants(const std::string &row) const
{
    return rows.empty() || std::any_of(rows.begin(), rows.end(), [&](const std::string &part) {
               return row.find(part) != std::string::npos;
           });
}

Options parse(int argc, char **argv)
{
    enum : int { nr = 256, seconds, server, help };
    Options o;
    static const option names[] = {
        {"quick", no_argument, nullptr, 'q'},
        {"seconds", required_argument, nullptr, seconds},
        {"row", required_argument, nullptr, 'r'},
        {"json", required_argument, nullptr, 0},
        {"against", required_argument, nullptr, 1},
        {"supervisor", required_argument, nullptr, 2},
        {"library", required_argument, nullptr, 3},
        {"shim", required_argument, nullptr, 4},
        {"role", required_argument, nullptr, 5},
        {"server", required_argument, nullptr, server},
        {"nr", required_argument, nullptr, nr},
        {"help", no_argument, nullptr, help},
        {nullptr, 0, nullptr, 0},
    };
    std::string *const texts[] = {&o.json, &o.against, &o.supervisor, &o.library, &o.shim, &o.role};
    for (int c; (c = getopt_long(argc, argv, "", names, nullptr)) != -1;) {
        switch (c) {
        case 'q':
            o.quick = true;
            break;
        case seconds:
            o.seconds = positive(optarg);
            break;
        case 'r':
            o.rows.emplace_back(optarg);
            break;
        case nr:
            o.number = static_cast<long>(positive(optarg));
            break;
        case server:
            o.server = static_cast<pid_t>(positive(optarg));
            break;
        case help:
            std::cout << usage;
            std::exit(0);
        case '?':
            throw UsageError("see --help");
        default:
            *texts[c] = optarg;
        }
    }
    o.words.assign(argv + optind, argv + argc);
    if (o.role.empty() && !o.words.empty()) {
        throw UsageError("unexpected argument: " + o.words[0]);
    }
    if (o.seconds == 0) {
        o.seconds = o.quick ? 0.5 : 4;
    }
    return o;
}

} // namespace bench
