// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace pstree
{

/// The fields of /proc/PID/stat that matter here. Everything in this file answers "nothing" for a
/// task that is gone: tasks come and go while they are read.
struct Stat {
    char state = '?';
    int ppid = 0;
    unsigned flags = 0; ///< PF_* of the kernel
};

inline constexpr unsigned pf_io_worker = 0x00000010;
inline constexpr unsigned pf_user_worker = 0x00004000; // 6.4: vhost
inline constexpr unsigned pf_kthread = 0x00200000;

/// `task` is "PID" or "PID/task/TID".
std::optional<Stat> read_stat(const std::string &task);
/// The name as it is, whatever bytes it is made of.
std::optional<std::string> read_comm(const std::string &task);
/// The numbers of a line of /proc/PID/status, e.g. NSpid; empty when there is no such line.
std::optional<std::vector<int>> read_status_line(const std::string &task, const std::string &key);
/// The directories of /proc/WHERE whose names are numbers.
std::optional<std::vector<int>> numeric_entries(const std::string &where);

} // namespace pstree
