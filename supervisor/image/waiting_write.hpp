// SPDX-License-Identifier: MIT
#pragma once

#include "base/procfs.hpp"
#include "base/remote_ptr.hpp"
#include "base/result.hpp"
#include "listener/pending_call.hpp"

#include <cstddef>
#include <span>

namespace clone2
{

/// Bytes to write to a target that waits for our answer.
struct WaitingWrite {
    RemotePtr to;
    std::span<const std::byte> from;
};

/// Writes them, even to write-protected pages, if the call still waits. ENOENT: it does not.
/// Thread-safe.
[[nodiscard]] Result<void> write_waiting(const Procfs &procfs, const PendingCall &call,
                                         std::span<const WaitingWrite> writes);

} // namespace clone2
