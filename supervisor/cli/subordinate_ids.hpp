// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clone2::cli
{

/// One line of a user namespace's uid_map or gid_map.
struct MappedIds {
    std::uint32_t inside = 0;
    std::uint32_t outside = 0;
    std::uint32_t count = 0;
    bool operator==(const MappedIds &) const = default;
};

/// The first range that `file`, the text of /etc/subuid or /etc/subgid, gives to the user: `inside`
/// is 0. Pure.
[[nodiscard]] std::optional<MappedIds> subordinate_ids(std::string_view file,
                                                       const std::string &name, std::uint32_t uid);

/// Maps `own` to itself or, as `root`, to 0; and `range` to the ids that this leaves, from the
/// lowest one on. Pure.
[[nodiscard]] std::vector<MappedIds> map_ids(std::uint32_t own, bool root,
                                             const std::optional<MappedIds> &range);

} // namespace clone2::cli
