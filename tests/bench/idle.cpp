// SPDX-License-Identifier: MIT
#include "idle.hpp"

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

namespace bench
{
namespace
{

struct Ticks {
    double idle = 0, all = 0;
};

Ticks ticks()
{
    std::ifstream file("/proc/stat");
    std::string word;
    file >> word;
    Ticks sum;
    // user nice system idle iowait irq softirq steal; guest time is part of user time
    double value = 0;
    for (unsigned i = 0; i < 8 && file >> value; i++) {
        sum.all += value;
        sum.idle += i == 3 || i == 4 ? value : 0;
    }
    return sum;
}

} // namespace

std::optional<double> idle_share()
{
    const Ticks before = ticks();
    std::this_thread::sleep_for(std::chrono::seconds(1));
    const Ticks after = ticks();
    if (after.all <= before.all) {
        return std::nullopt;
    }
    return (after.idle - before.idle) / (after.all - before.all);
}

} // namespace bench
