// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace pstree
{

/// Tasks come and go while they are read: all functions here throw this for one that isn't there.
struct Gone : std::runtime_error {
    Gone() : std::runtime_error("/proc can't be read") {}
};

/// The fields of /proc/PID/stat that matter here.
struct Stat {
    char state = '?';
    int ppid = 0;
    bool kernel_worker = false; ///< a thread of io_uring's or vhost's, made by the kernel
};

/// `task` is "PID" or "PID/task/TID".
Stat read_stat(const std::string &task);
/// The name as it is, whatever bytes it is made of.
std::string read_comm(const std::string &task);
/// The numbers of a line of /proc/PID/status, e.g. NSpid; empty when there is no such line.
std::vector<int> read_status_line(const std::string &task, const std::string &key);
/// The directories of /proc/WHERE whose names are numbers, sorted.
std::vector<int> numeric_entries(const std::string &where);

} // namespace pstree
