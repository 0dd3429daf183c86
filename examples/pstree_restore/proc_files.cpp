// SPDX-License-Identifier: MIT
#include "proc_files.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace pstree
{

namespace
{

constexpr unsigned pf_io_worker = 0x00000010;
constexpr unsigned pf_user_worker = 0x00004000; // 6.4: vhost

std::string read_file(const std::string &path)
{
    std::ifstream file("/proc/" + path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (text.empty()) { // missing, or ESRCH
        throw Gone();
    }
    return text;
}

} // namespace

Stat read_stat(const std::string &task)
{
    const std::string text = read_file(task + "/stat");
    // The name is in parentheses and may contain parentheses, spaces and newlines.
    std::istringstream fields(text.substr(text.rfind(')') + 1));
    Stat stat;
    std::string skipped;
    unsigned flags = 0;
    fields >> stat.state >> stat.ppid;
    fields >> skipped >> skipped >> skipped >> skipped; // pgrp, session, tty_nr, tpgid
    fields >> flags;
    stat.kernel_worker = (flags & (pf_io_worker | pf_user_worker)) != 0;
    return stat;
}

std::string read_comm(const std::string &task)
{
    std::string text = read_file(task + "/comm");
    text.pop_back(); // exactly one newline: the name may end with newlines
    return text;
}

std::vector<int> read_status_line(const std::string &task, const std::string &key)
{
    const std::string text = read_file(task + "/status");
    std::vector<int> numbers;
    const std::size_t at = text.find("\n" + key + ":"); // in status, a newline in the name is
                                                        // escaped
    if (at != std::string::npos) {
        const std::size_t start = at + key.size() + 2;
        std::istringstream line(text.substr(start, text.find('\n', start) - start));
        numbers.assign(std::istream_iterator<int>(line), {});
    }
    return numbers;
}

std::vector<int> numeric_entries(const std::string &where)
try {
    std::vector<int> numbers;
    for (const auto &entry : std::filesystem::directory_iterator("/proc/" + where)) {
        const std::string name = entry.path().filename();
        if (name[0] >= '1' && name[0] <= '9') {
            numbers.push_back(std::stoi(name));
        }
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
} catch (const std::filesystem::filesystem_error &) {
    throw Gone();
}

} // namespace pstree
