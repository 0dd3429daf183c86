// SPDX-License-Identifier: MIT
// clone2-bench: what a supervised clone2 costs compared to the kernel's own clone3 with set_tid.
#include "callers.hpp"
#include "filter_cost.hpp"
#include "footprint.hpp"
#include "launch.hpp"
#include "provider.hpp"
#include "report.hpp"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <getopt.h>
#include <iostream>
#include <stdexcept>
#include <thread>

namespace
{

using namespace bench;

constexpr const char *usage =
    "usage: clone2-bench [options]\n"
    "Compares clone2 under a supervisor, and by the library in the process, with the kernel's\n"
    "clone3+set_tid, alternating in one run. Runs itself under a supervisor if nothing answers\n"
    "clone2 yet, and in its own pid namespace.\n"
    "  --quick            short budgets and fewer combinations (about 10 s)\n"
    "  --seconds S        budget of each row (4; quick: 0.5)\n"
    "  --json FILE        write the results there, too\n"
    "  --supervisor PATH  the supervisor (default: of the same build tree)\n"
    "  --library PATH     libclone2 to preload, and for trap mode (the same)\n"
    "  --nr N             number of clone2 (387)\n"
    "  --help\n";

struct Options {
    bool quick = false;
    double seconds = 0;
    long number = 387;
    std::string json, supervisor, libclone2, role;
    std::vector<std::string> words;
};

struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

double positive(const char *text)
{
    char *end = nullptr;
    const double value = std::strtod(text, &end);
    if (end == text || *end != '\0' || !(value > 0) || value > 1e6) {
        throw UsageError(std::string("not a positive number: ") + text);
    }
    return value;
}

Options parse(int argc, char **argv)
{
    enum : int { quick = 256, seconds, json, supervisor, library, number, role, help };
    static const option names[] = {
        {"quick", no_argument, nullptr, quick},
        {"seconds", required_argument, nullptr, seconds},
        {"json", required_argument, nullptr, json},
        {"supervisor", required_argument, nullptr, supervisor},
        {"library", required_argument, nullptr, library},
        {"nr", required_argument, nullptr, number},
        {"role", required_argument, nullptr, role}, // how clone2-bench calls itself
        {"help", no_argument, nullptr, help},
        {nullptr, 0, nullptr, 0},
    };
    Options o;
    for (int c; (c = getopt_long(argc, argv, "", names, nullptr)) != -1;) {
        switch (c) {
        case quick:
            o.quick = true;
            break;
        case seconds:
            o.seconds = positive(optarg);
            break;
        case json:
            o.json = optarg;
            break;
        case supervisor:
            o.supervisor = optarg;
            break;
        case library:
            o.libclone2 = optarg;
            break;
        case number:
            o.number = static_cast<long>(positive(optarg));
            break;
        case role:
            o.role = optarg;
            break;
        case help:
            std::cout << usage;
            std::exit(0);
        default:
            throw UsageError("see --help");
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

std::vector<Workload> workloads(const Options &o)
{
    std::vector<Workload> all;
    for (const unsigned callers : {1U, 2U, 4U, 8U}) {
        all.push_back({Kind::process, callers, 0, o.seconds, o.number});
    }
    for (const unsigned callers : {1U, 2U, 4U, 8U}) {
        if (!o.quick || callers == 1) {
            all.push_back({Kind::process, callers, 256, o.seconds, o.number});
        }
    }
    for (const unsigned callers : {1U, 2U, 4U, 8U}) {
        all.push_back({Kind::thread, callers, 0, o.seconds, o.number});
    }
    return all;
}

/// Without a supervisor: inside the process.
std::vector<Workload> shim_workloads(const Options &o, bool trap)
{
    std::vector<Workload> all;
    const Provider provider = trap ? Provider::supervised : Provider::preloaded;
    const std::string label = trap ? ", trap" : ", preload";
    for (const unsigned callers : {1U, 4U}) {
        all.push_back({Kind::process, callers, 0, o.seconds, o.number, provider, label});
    }
    // A function can't return on a thread's empty stack: bare instructions only.
    if (trap) {
        for (const unsigned callers : {1U, 4U}) {
            all.push_back({Kind::thread, callers, 0, o.seconds, o.number, provider, label});
        }
    }
    return all;
}

/// The part that runs under the supervisor or with the library: makes all round trips, and prints
/// one line for each on stdout.
int measure_all(const std::vector<Workload> &all)
{
    enter_pid_namespace();
    for (const Workload &w : all) {
        write_wire(std::cout, measure(w));
    }
    return 0;
}

/// Runs "(wrapper...) self --role=ROLE ..."; progress goes to stderr.
void round_trips(const Options &o, const std::vector<std::string> &wrapper, const std::string &role,
                 std::vector<Series> &all)
{
    std::vector<std::string> argv = wrapper;
    argv.insert(argv.end(), {own_path(), "--role=" + role, "--seconds=" + std::to_string(o.seconds),
                             "--nr=" + std::to_string(o.number)});
    if (o.quick) {
        argv.emplace_back("--quick");
    }
    Helper helper(argv);
    for (std::string line; helper.line(line);) {
        Series s;
        if (!read_wire(line, s)) {
            throw std::runtime_error("unexpected line: " + line);
        }
        std::cerr << s.name << ", callers " << s.callers << ": done\n";
        all.push_back(s);
    }
    if (helper.finish() != 0) {
        throw std::runtime_error("the measuring process failed");
    }
}

/// Waiting for a CPU would dominate the result.
void note_load(Report &report)
{
    double load = 0;
    if (getloadavg(&load, 1) == 1 && load > std::thread::hardware_concurrency() / 2.0) {
        report.notes.emplace_back("the machine was busy (load average " + std::to_string(load) +
                                  "): measure again on an idle one");
    }
}

/// `supervisor`: empty if this process already has one.
void note_footprint(Report &report, const Options &o, const std::string &supervisor)
{
    report.footprint = measure_footprint(supervisor, o.number, 1000, o.quick ? 1 : 5);
    if (!report.footprint) {
        report.notes.emplace_back("no serving process among the ancestors: its CPU and memory "
                                  "can't be measured");
    }
}

Report run(const Options &o)
{
    Report report;
    report.quick = o.quick;
    note_load(report);
    if (clone2_answers(o.number)) {
        round_trips(o, {}, "calls", report.series);
        report.notes.emplace_back("already under a provider of clone2: getppid() without a filter "
                                  "can't be measured");
        note_footprint(report, o, "");
        return report;
    }
    const std::string supervisor =
        find_built(o.supervisor, "supervisor/clone2-supervise", "--supervisor");
    const std::string preload =
        "LD_PRELOAD=" + find_built(o.libclone2, "shim/libclone2.so.1", "--library");
    const std::string number = std::to_string(o.number);
    const std::string variable = "CLONE2_NR=" + number;
    round_trips(o, {supervisor, "--nr=" + number, "--"}, "calls", report.series);
    round_trips(o, {"/usr/bin/env", preload, variable}, "calls-preload", report.series);
    round_trips(o, {"/usr/bin/env", preload, variable, "CLONE2_SHIM=trap"}, "calls-trap",
                report.series);
    report.filter = measure_filter_cost(supervisor, o.quick ? 1 : 5);
    note_footprint(report, o, supervisor);
    return report;
}

int act(const Options &o)
{
    if (o.role == "calls") {
        return measure_all(workloads(o));
    }
    if (o.role == "calls-preload" || o.role == "calls-trap") {
        return measure_all(shim_workloads(o, o.role == "calls-trap"));
    }
    if (o.role == "getppid" || o.role == "getppid-allow-all") {
        return serve_getppid(o.role != "getppid");
    }
    if (o.role == "sleepers" && o.words.size() == 1) {
        return serve_sleepers(static_cast<unsigned>(positive(o.words[0].c_str())), o.number);
    }
    if (!o.role.empty()) {
        throw UsageError("unknown role");
    }
    std::ofstream json;
    if (!o.json.empty()) { // first: a bad name must not waste a minute
        json.open(o.json);
        if (!json) {
            throw std::runtime_error("cannot write " + o.json);
        }
    }
    const Report report = run(o);
    print_table(std::cout, report);
    if (!o.json.empty()) {
        print_json(json, report);
        if (!json.flush()) {
            throw std::runtime_error("cannot write " + o.json);
        }
    }
    return std::cout.flush() ? 0 : 1;
}

} // namespace

int main(int argc, char **argv)
{
    (void)std::signal(SIGPIPE, SIG_IGN); // so that a helper that ends early gives an error message
    try {
        return act(parse(argc, argv));
    } catch (const UsageError &error) {
        std::cerr << "clone2-bench: " << error.what() << '\n';
        return 2;
    } catch (const std::exception &error) {
        std::cerr << "clone2-bench: " << error.what() << '\n';
        return 1;
    }
}
