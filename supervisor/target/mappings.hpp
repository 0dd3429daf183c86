// SPDX-License-Identifier: MIT
#pragma once

#include "base/procfs.hpp"
#include "base/remote_ptr.hpp"

#include <optional>
#include <sys/types.h>

/// Finds out what a target has mapped. Thread-safe (no state).

namespace clone2
{

/// One mapping of a target, from /proc/TID/maps.
struct Mapping {
    RemotePtr begin;
    RemotePtr end;
    bool readable = false;
    bool writable = false;
    bool executable = false;
    bool shared = false; ///< writing to it would write to another process's memory, or to a file
};

/// The mapping that covers this address; an Error with EFAULT: none. Costs three system calls if
/// mapping_query_is_cheap(), otherwise it reads /proc/TID/maps up to the address.
[[nodiscard]] Result<Mapping> mapping_at(const Procfs &procfs, pid_t tid, RemotePtr address);

/// The same from an open /proc/TID/maps, in one system call, if mapping_query_is_cheap(). The file
/// always shows the address space that the thread had when it was opened.
[[nodiscard]] std::optional<Mapping> query_mapping(const Fd &maps, RemotePtr address);

/// The same by reading an open /proc/TID/maps from its beginning, as on kernels without the query.
[[nodiscard]] std::optional<Mapping> search_mappings(Fd maps, RemotePtr address);

/// Whether the kernel can answer for one address (PROCMAP_QUERY, 6.11).
[[nodiscard]] bool mapping_query_is_cheap();

} // namespace clone2
