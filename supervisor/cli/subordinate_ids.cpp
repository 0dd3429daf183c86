// SPDX-License-Identifier: MIT
#include "cli/subordinate_ids.hpp"

#include <algorithm>
#include <charconv>

namespace clone2::cli
{

namespace
{

/// Takes a number and the character after it, if any, off the front of `text`.
std::optional<std::uint32_t> take_number(std::string_view &text, char after)
{
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const bool ended = after == 0 ? text.empty() : text.starts_with(after);
    text.remove_prefix(std::min<std::size_t>(1, text.size()));
    return error == std::errc() && ended ? std::optional(number) : std::nullopt;
}

} // namespace

std::optional<MappedIds> subordinate_ids(std::string_view file, const std::string &name,
                                         std::uint32_t uid)
{
    while (!file.empty()) {
        std::string_view line = file.substr(0, file.find('\n'));
        file.remove_prefix(std::min(line.size() + 1, file.size()));
        const std::string_view user = line.substr(0, line.find(':'));
        line.remove_prefix(std::min(user.size() + 1, line.size()));
        if (user.empty() || (user != name && user != std::to_string(uid))) {
            continue;
        }
        const auto first = take_number(line, ':');
        const auto count = first ? take_number(line, 0) : std::nullopt;
        if (count && *count > 0) {
            return MappedIds{0, *first, *count};
        }
    }
    return std::nullopt;
}

std::vector<MappedIds> map_ids(std::uint32_t own, bool root, const std::optional<MappedIds> &range)
{
    const std::uint32_t inside = root ? 0 : own;
    std::vector<MappedIds> map;
    if (range) {
        const std::uint32_t below = std::min(inside, range->count);
        if (below > 0) {
            map.push_back({0, range->outside, below});
        }
        if (range->count > below) {
            map.push_back({inside + 1, range->outside + below, range->count - below});
        }
    }
    map.push_back({inside, own, 1});
    std::sort(map.begin(), map.end(),
              [](const auto &one, const auto &other) { return one.inside < other.inside; });
    return map;
}

} // namespace clone2::cli
