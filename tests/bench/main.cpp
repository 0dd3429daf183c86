// SPDX-License-Identifier: MIT
// clone2-bench: what a supervised clone2 costs compared to the kernel's own clone3 with set_tid.
#include "agent.hpp"
#include "filter_cost.hpp"
#include "footprint.hpp"
#include "idle.hpp"
#include "launch.hpp"
#include "options.hpp"
#include "provider.hpp"
#include "report.hpp"
#include "rows.hpp"
#include "server.hpp"

#include <csignal>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <unistd.h>

namespace
{

using namespace bench;

/// The part that runs under the supervisor or with the library: makes all round trips, and prints
/// one line for each on stdout.
int measure_all(const Options &o)
{
    const pid_t server = o.server != 0 ? o.server : serving_ancestor(getpid());
    enter_pid_namespace(); // /proc stays the one of the outer namespace
    for (const Workload &w : rows(o, o.role)) {
        write_wire(std::cout, measure(w, server));
    }
    return 0;
}

/// Runs "(wrapper...) self --role=ROLE ..."; progress goes to stderr.
void round_trips(const Options &o, const std::vector<std::string> &wrapper, const std::string &role,
                 std::vector<Series> &all, pid_t server = 0)
{
    std::vector<std::string> argv = wrapper;
    argv.insert(argv.end(), {own_path(), "--role=" + role, "--seconds=" + std::to_string(o.seconds),
                             "--nr=" + std::to_string(o.number)});
    if (o.quick) {
        argv.emplace_back("--quick");
    }
    if (server != 0) {
        argv.push_back("--server=" + std::to_string(server));
    }
    for (const std::string &row : o.rows) {
        argv.push_back("--row=" + row);
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
std::optional<double> note_idle(Report &report, const char *when)
{
    const std::optional<double> idle = idle_share();
    if (idle && *idle < 0.9) {
        const std::string text = std::string("the machine was busy ") + when + " (" +
                                 std::to_string(static_cast<int>(*idle * 100)) +
                                 "% idle): ratios mean little, measure again on an idle one";
        std::cerr << "clone2-bench: " << text << '\n';
        report.notes.push_back(text);
    }
    return idle;
}

/// `supervisor`: empty if this process already has one.
void note_footprint(Report &report, const Options &o, const std::string &supervisor)
{
    if (!o.wants("sleeping targets")) {
        return;
    }
    report.footprint = measure_footprint(supervisor, o.number, 1000, o.quick ? 1 : 5);
    if (!report.footprint) {
        report.notes.emplace_back("no serving process among the ancestors: its CPU and memory "
                                  "can't be measured");
    }
}

/// All there is to measure where nothing answers clone2 yet.
void measure_providers(Report &report, const Options &o)
{
    const std::string supervisor =
        find_built(o.supervisor, "supervisor/clone2-supervise", "--supervisor");
    const std::string preload =
        "LD_PRELOAD=" + find_built(o.library, "shim/libclone2.so.1", "--library");
    const std::string nr = "--nr=" + std::to_string(o.number);
    const std::string variable = "CLONE2_NR=" + std::to_string(o.number);
    std::vector<Series> &all = report.series;
    const auto run = [&](const char *role, const std::vector<std::string> &wrapper) {
        if (!rows(o, role).empty()) {
            round_trips(o, wrapper, role, all);
        }
    };
    run("calls", {supervisor, nr, "--"});
    run("calls-logged", {supervisor, nr, "--log=/dev/null", "--"});
    if (!rows(o, "calls-judged").empty()) {
        const Agent agent(supervisor);
        round_trips(o,
                    {find_built(o.shim, "shim/launcher/clone2-shim", "--shim"),
                     "--socket=" + agent.socket(), nr, "--"},
                    "calls-judged", all, agent.pid());
    }
    run("calls-least", {find_built("", "tests/bench/least-supervisor", "no other place"),
                        std::to_string(o.number)});
    run("calls-preload", {"/usr/bin/env", preload, variable});
    run("calls-trap", {"/usr/bin/env", preload, variable, "CLONE2_SHIM=trap"});
    if (o.wants("getppid")) {
        report.filter = measure_filter_cost(supervisor, o.quick ? 1 : 5);
    }
    note_footprint(report, o, supervisor);
}

Report run(const Options &o)
{
    Report report;
    report.quick = o.quick;
    report.idle_before = note_idle(report, "at the start");
    if (clone2_answers(o.number)) {
        round_trips(o, {}, "calls", report.series);
        report.notes.emplace_back("already under a provider of clone2: getppid() without a filter "
                                  "can't be measured");
        note_footprint(report, o, "");
    } else {
        measure_providers(report, o);
    }
    report.idle_after = note_idle(report, "at the end");
    return report;
}

int act(const Options &o)
{
    if (o.role.starts_with("calls")) {
        return measure_all(o);
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
    // Files first: a bad name must not waste a minute.
    std::ifstream earlier;
    if (!o.against.empty()) {
        earlier.open(o.against);
        if (!earlier) {
            throw std::runtime_error("cannot read " + o.against);
        }
    }
    std::ofstream json;
    if (!o.json.empty()) {
        json.open(o.json);
        if (!json) {
            throw std::runtime_error("cannot write " + o.json);
        }
    }
    Report report = run(o);
    if (!o.json.empty()) {
        print_json(json, report);
        if (!json.flush()) {
            throw std::runtime_error("cannot write " + o.json);
        }
    }
    if (!o.against.empty()) {
        compare_with(earlier, report);
    }
    print_table(std::cout, report);
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
