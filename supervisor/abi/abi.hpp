// SPDX-License-Identifier: MIT
#pragma once

#include "arch/architecture.hpp"
#include "base/remote_ptr.hpp"
#include "request/request.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace clone2
{

/// Argument registers, in the order of the architecture's system calls.
using Arguments = std::array<std::uint64_t, 6>;

/// One form of the call: where its parts lie, and what they mean. Constant; one file each.
struct Abi {
    /// What the call is called in logs and options.
    std::string_view name;
    /// Bytes of the structure that it points at; at most max_structure.
    std::size_t structure_size;
    /// Where the structure is; nullopt: the caller gave none, and decode() gets no bytes.
    std::optional<RemotePtr> (*structure)(const Arguments &);
    /// Where the pids are; nullopt: decode() finds that in the structure.
    std::optional<RemotePtr> (*pids)(const Arguments &);
    /// The call, but for the pids that pids_address points at.
    Request (*decode)(const Arguments &, std::span<const std::byte> structure,
                      const Architecture &);
};

constexpr std::size_t max_structure = 64;

/// clone2 of the proposal's version 7.
extern const Abi clone2_abi;

} // namespace clone2
