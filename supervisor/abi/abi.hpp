// SPDX-License-Identifier: MIT
#pragma once

#include "arch/architecture.hpp"
#include "arch/trial.hpp"
#include "base/remote_ptr.hpp"
#include "plan/request.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <sys/types.h>

namespace clone2
{

/// Argument registers, in the order of the architecture's system calls.
using Arguments = std::array<std::uint64_t, 6>;

/// One form of the call: where its parts are and what they mean. Constant; one file each.
struct Abi {
    /// The call's name in logs and options.
    std::string_view name;
    /// Size of the struct that it points to, in bytes; at most max_structure.
    std::size_t structure_size;
    /// The struct's name in the call's documents.
    std::string_view structure_name;
    /// The struct's address; nullopt: the caller gave none, and decode() gets no bytes.
    std::optional<RemotePtr> (*structure)(const Arguments &);
    /// The pids' address; nullopt: decode() finds it in the struct.
    std::optional<RemotePtr> (*pids)(const Arguments &);
    /// Decodes the call, except the pids.
    Request (*decode)(const Arguments &, std::span<const std::byte> structure,
                      const Architecture &);
    /// A call for a child with SIGCHLD, and this pid in the caller's namespace; 0: with no pids.
    TrialCall (*trial)(std::uint64_t data_address, pid_t pid) = nullptr;
};

constexpr std::size_t max_structure = 64;

/// clone2 as in version 7 of the proposal.
extern const Abi clone2_abi;
/// The last version of the series.
extern const Abi eclone_abi;
/// The version before the proposal's, for i386.
extern const Abi clone_with_pids_abi;

} // namespace clone2
