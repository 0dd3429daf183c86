// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace pstree
{

/// Tasks come and go while they are read: all functions here throw this if the task is gone.
struct Gone : std::runtime_error {
    Gone() : std::runtime_error("/proc can't be read") {}
};

/// The fields of /proc/PID/stat that are used here.
struct Stat {
    char state = '?';
    int ppid = 0;
    bool kernel_worker = false; ///< a thread that the kernel created for io_uring or vhost
};

/// `task` is "PID" or "PID/task/TID".
Stat read_stat(const std::string &task);
/// The raw name, whatever its bytes.
std::string read_comm(const std::string &task);
/// The numbers in a line of /proc/PID/status, such as NSpid; empty if there is no such line.
std::vector<int> read_status_line(const std::string &task, const std::string &key);
/// The directories in /proc/WHERE whose names are numbers, sorted.
std::vector<int> numeric_entries(const std::string &where);

} // namespace pstree
