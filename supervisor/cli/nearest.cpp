// SPDX-License-Identifier: MIT
#include "cli/nearest.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace clone2::cli
{

namespace
{

/// How many letters must be added, removed or replaced (Levenshtein).
std::size_t distance(std::string_view one, std::string_view other)
{
    std::vector<std::size_t> row(other.size() + 1);
    std::iota(row.begin(), row.end(), 0);
    for (std::size_t i = 0; i < one.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < other.size(); ++j) {
            const std::size_t replaced = diagonal + (one[i] == other[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row.back();
}

} // namespace

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> known)
{
    constexpr std::size_t shortest_begin = 4; // "--" and two letters
    std::optional<std::string> best;
    std::size_t best_distance = word.size() / 4 + 2;
    for (const std::string &one : known) {
        const bool begins = word.size() >= shortest_begin && one.starts_with(word);
        const std::size_t its_distance = begins ? 0 : distance(word, one);
        if (its_distance < best_distance) {
            best = one;
            best_distance = its_distance;
        }
    }
    return best;
}

} // namespace clone2::cli
