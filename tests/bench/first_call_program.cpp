// SPDX-License-Identifier: MIT
// first-call native|clone2 NUMBER PID: creates one process and prints the errno and the time it
// took.
#include "provider.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

int main(int argc, char **argv)
{
    using namespace bench;
    using Clock = std::chrono::steady_clock;
    if (argc != 4) {
        return 2;
    }
    const Provider who =
        std::string_view(argv[1]) == "native" ? Provider::native : Provider::supervised;
    const long number = std::strtol(argv[2], nullptr, 10);
    const auto pid = static_cast<pid_t>(std::strtol(argv[3], nullptr, 10));
    (void)Clock::now(); // the first use of the vdso costs a page fault
    const auto before = Clock::now();
    const int error = process_round_trip(who, number, pid);
    const std::chrono::duration<double, std::micro> took = Clock::now() - before;
    return std::printf("%d %.3f\n", error, took.count()) < 0 || std::fflush(stdout) != 0;
}
