// SPDX-License-Identifier: MIT
#include "footprint.hpp"

#include "launch.hpp"
#include "provider.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace bench
{
namespace
{

std::string proc(pid_t pid, const char *file)
{
    return "/proc/" + std::to_string(pid) + '/' + file;
}

/// The number after `key` in a file of "key: number" lines; 0 if there is none.
long number_of(const std::string &path, const std::string &key)
{
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(key)) {
            return std::strtol(line.c_str() + key.size(), nullptr, 10);
        }
    }
    return 0;
}

/// The nearest ancestor with that name; 0 if none.
pid_t ancestor_named(pid_t pid, const std::string &name)
{
    while (pid > 0) {
        std::string comm;
        std::getline(std::ifstream(proc(pid, "comm")) >> std::ws, comm);
        if (comm == name) {
            return pid;
        }
        pid = static_cast<pid_t>(number_of(proc(pid, "status"), "PPid:"));
    }
    return 0;
}

/// CPU time of all threads, in microseconds.
double cpu_us(pid_t pid)
{
    double total = 0;
    for (const auto &task : std::filesystem::directory_iterator(proc(pid, "task"))) {
        double ns = 0;
        if (std::ifstream(task.path() / "schedstat") >> ns) {
            total += ns / 1000;
        }
    }
    return total;
}

long smaps_kib(pid_t pid, const char *key)
{
    return number_of(proc(pid, "smaps_rollup"), key);
}

} // namespace

std::optional<Footprint> measure_footprint(const std::string &supervisor, long number,
                                           unsigned targets, double idle_seconds)
{
    const std::string nr = "--nr=" + std::to_string(number);
    std::vector<std::string> argv{own_path(), "--role=sleepers", nr, std::to_string(targets)};
    if (!supervisor.empty()) {
        argv.insert(argv.begin(), {supervisor, nr, "--"});
    }
    Helper parent(argv);
    const pid_t pid = static_cast<pid_t>(std::stol(parent.line()));
    const pid_t server = ancestor_named(pid, "clone2-serve");
    if (server == 0) {
        return std::nullopt;
    }
    Footprint f;
    f.targets = targets;
    f.idle_seconds = idle_seconds;
    f.rss_before_kib = smaps_kib(server, "Rss:");
    f.pss_before_kib = smaps_kib(server, "Pss:");
    const double before = cpu_us(server);
    parent.send("create\n");
    if (parent.line() != "created") {
        return std::nullopt;
    }
    const double after = cpu_us(server);
    f.cpu_per_call_us = (after - before) / targets;
    f.rss_kib = smaps_kib(server, "Rss:");
    f.pss_kib = smaps_kib(server, "Pss:");
    std::this_thread::sleep_for(std::chrono::milliseconds(200)); // let it become idle
    const double rest = cpu_us(server);
    std::this_thread::sleep_for(std::chrono::duration<double>(idle_seconds));
    f.idle_cpu_us = cpu_us(server) - rest;
    return f;
}

int serve_sleepers(unsigned targets, long number)
{
    std::cout << getpid() << std::endl;
    std::string request;
    if (!std::getline(std::cin, request)) {
        return 1;
    }
    std::vector<pid_t> children;
    for (unsigned i = 0; i < targets; i++) {
        const long pid = sleeping_process(number);
        if (pid < 0) {
            break;
        }
        children.push_back(static_cast<pid_t>(pid));
    }
    std::cout << (children.size() == targets ? "created" : "failed") << std::endl;
    std::getline(std::cin, request); // until the other side is done
    for (const pid_t pid : children) {
        kill(pid, SIGKILL);
    }
    for (const pid_t pid : children) {
        waitpid(pid, nullptr, 0);
    }
    return 0;
}

} // namespace bench
