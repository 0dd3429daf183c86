// SPDX-License-Identifier: MIT
#include "filter_cost.hpp"

#include "filter/seccomp_filter.h"
#include "launch.hpp"

#include <array>
#include <chrono>
#include <iostream>
#include <memory>
#include <sched.h>
#include <system_error>

namespace bench
{
namespace
{

constexpr unsigned calls_per_turn = 20'000;

void install_allow_all()
{
    sock_filter step{};
    sock_fprog program{0, &step};
    filter_answer(&program, SECCOMP_RET_ALLOW);
    filter_options how{0, 0, 1, 0};
    if (const long result = filter_install(&program, &how); result < 0) {
        throw std::system_error(static_cast<int>(-result), std::generic_category(), "seccomp");
    }
}

} // namespace

int serve_getppid(bool allow_all_filter)
{
    if (allow_all_filter) {
        install_allow_all();
    }
    // All three on one CPU: they never run at the same time, and CPUs may differ.
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof one, &one); // if CPU 0 is not allowed, they run anywhere
    std::string request;
    while (std::getline(std::cin, request)) {
        const auto before = std::chrono::steady_clock::now();
        for (unsigned i = 0; i < calls_per_turn; i++) {
            raw_call(SYS_getppid);
        }
        const std::chrono::duration<double, std::nano> took =
            std::chrono::steady_clock::now() - before;
        std::cout << took.count() / calls_per_turn << std::endl;
    }
    return 0;
}

FilterCost measure_filter_cost(const std::string &supervisor, double seconds)
{
    const std::string self = own_path();
    std::array<std::unique_ptr<Helper>, 3> servers{
        std::make_unique<Helper>(std::vector<std::string>{self, "--role=getppid"}),
        std::make_unique<Helper>(std::vector<std::string>{self, "--role=getppid-allow-all"}),
        std::make_unique<Helper>(
            std::vector<std::string>{supervisor, "--", self, "--role=getppid"}),
    };
    std::array<std::vector<double>, 3> samples;
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    for (unsigned turn = 0; turn < 10 || std::chrono::steady_clock::now() < end; turn++) {
        for (std::size_t i = 0; i < servers.size(); i++) {
            servers[i]->send("turn\n");
            const double ns = std::stod(servers[i]->line());
            if (turn >= 2) { // the first turns warm up
                samples[i].push_back(ns);
            }
        }
    }
    return {percentile(samples[0], 0.5), percentile(samples[1], 0.5), percentile(samples[2], 0.5)};
}

} // namespace bench
