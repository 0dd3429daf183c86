// SPDX-License-Identifier: MIT
#include "filter_cost.hpp"

#include "arch/native.h"
#include "launch.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <iostream>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <memory>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <system_error>

namespace bench
{
namespace
{

constexpr unsigned calls_per_turn = 20'000;

void install_allow_all()
{
    sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    sock_fprog program{1, &allow};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
        throw std::system_error(errno, std::generic_category(), "seccomp");
}

} // namespace

int serve_getppid(bool allow_all_filter)
{
    if (allow_all_filter)
        install_allow_all();
    // All three on one CPU: they never run at the same time, and CPUs may differ.
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof one, &one); // where CPU 0 is not allowed, they run anywhere
    std::string request;
    while (std::getline(std::cin, request)) {
        const auto before = std::chrono::steady_clock::now();
        for (unsigned i = 0; i < calls_per_turn; i++)
            raw_call(SYS_getppid);
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
    for (unsigned turn = 0; turn < 10 || std::chrono::steady_clock::now() < end; turn++)
        for (std::size_t i = 0; i < servers.size(); i++) {
            servers[i]->send("turn\n");
            const double ns = std::stod(servers[i]->line());
            if (turn >= 2) // the first turns warm up
                samples[i].push_back(ns);
        }
    return {percentile(samples[0], 0.5), percentile(samples[1], 0.5), percentile(samples[2], 0.5)};
}

} // namespace bench
