// SPDX-License-Identifier: MIT
#include "proc_files.hpp"

#include <algorithm>
#include <cstdlib>
#include <dirent.h>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>

namespace pstree
{

namespace
{

std::optional<std::string> read_file(const std::string &path)
{
    std::ifstream file(path, std::ios::binary);
    if (!file)
        return std::nullopt;
    std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (file.bad() || text.empty()) // ESRCH shows as one or the other
        return std::nullopt;
    return text;
}

} // namespace

std::optional<Stat> read_stat(const std::string &task)
{
    const auto text = read_file("/proc/" + task + "/stat");
    if (!text)
        return std::nullopt;
    // The name is between parentheses and may itself hold parentheses, spaces and newlines.
    const std::size_t name_end = text->rfind(')');
    if (name_end == std::string::npos)
        return std::nullopt;
    std::istringstream fields(text->substr(name_end + 1));
    Stat stat;
    long long skipped = 0;
    fields >> stat.state >> stat.ppid;
    for (int field = 0; field < 4; field++) // pgrp, session, tty_nr, tpgid
        fields >> skipped;
    fields >> stat.flags;
    if (!fields)
        return std::nullopt;
    return stat;
}

std::optional<std::string> read_comm(const std::string &task)
{
    auto text = read_file("/proc/" + task + "/comm");
    if (text && text->back() == '\n')
        text->pop_back(); // exactly one: the name may end in newlines of its own
    return text;
}

std::optional<std::vector<int>> read_status_line(const std::string &task, const std::string &key)
{
    const auto text = read_file("/proc/" + task + "/status");
    if (!text)
        return std::nullopt;
    std::vector<int> numbers;
    const std::size_t at = text->find("\n" + key + ":"); // a newline in the name is escaped here
    if (at == std::string::npos)
        return numbers;
    const std::size_t start = at + key.size() + 2;
    std::istringstream line(text->substr(start, text->find('\n', start) - start));
    for (int number = 0; line >> number;)
        numbers.push_back(number);
    return numbers;
}

std::optional<std::vector<int>> numeric_entries(const std::string &where)
{
    const std::unique_ptr<DIR, int (*)(DIR *)> dir(opendir(("/proc/" + where).c_str()), closedir);
    if (!dir)
        return std::nullopt;
    std::vector<int> numbers;
    while (const dirent *entry = readdir(dir.get()))
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            numbers.push_back(static_cast<int>(std::strtol(entry->d_name, nullptr, 10)));
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

} // namespace pstree
