// SPDX-License-Identifier: MIT
#include "server.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace bench
{
namespace
{

std::string proc(pid_t pid, const char *file)
{
    return "/proc/" + std::to_string(pid) + '/' + file;
}

} // namespace

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

pid_t serving_ancestor(pid_t pid)
{
    while (pid > 0) {
        std::string comm;
        std::getline(std::ifstream(proc(pid, "comm")) >> std::ws, comm);
        if (comm == "clone2-serve") {
            return pid;
        }
        pid = static_cast<pid_t>(number_of(proc(pid, "status"), "PPid:"));
    }
    return 0;
}

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

} // namespace bench
