// SPDX-License-Identifier: MIT
#include "footprint.hpp"

#include "launch.hpp"
#include "provider.hpp"
#include "server.hpp"

#include <chrono>
#include <csignal>
#include <iostream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace bench
{
namespace
{

long smaps_kib(pid_t pid, const char *key)
{
    return number_of("/proc/" + std::to_string(pid) + "/smaps_rollup", key);
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
    const pid_t server = serving_ancestor(pid);
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
