// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "base/procfs.hpp"
#include "base/remote_ptr.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <span>

/// Reading and writing a target's memory. Thread-safe (no state).

namespace clone2
{

/// One piece of a scattered read.
struct RemoteRange {
    RemotePtr from;
    std::span<std::byte> to;
};

/// process_vm_readv of all pieces in order; the number of bytes read up to the first unreadable
/// one, which is an answer and not an error. Error: EPERM, ESRCH (target gone).
[[nodiscard]] Result<std::size_t> read_memory(pid_t tid, std::span<const RemoteRange> pieces);

/// Reads one object whole; EFAULT where any part of it can't be read.
[[nodiscard]] Result<void> read_exactly(pid_t tid, RemotePtr from, std::span<std::byte> to);

/// Writes through an open /proc/TID/mem, also through page protections. The file is one address
/// space for good, whatever becomes of the tid, which is for the error only. There is no writing by
/// a tid alone: it can pass to another program.
[[nodiscard]] Result<void> write_file(const Fd &memory, pid_t tid, RemotePtr to,
                                      std::span<const std::byte> from);

/// Reads as the kernel's copy_from_user would where process_vm_readv does not: pages mapped
/// writable but not readable are readable on x86. EFAULT for all others.
[[nodiscard]] Result<void> read_write_only(const Procfs &procfs, pid_t tid, RemotePtr from,
                                           std::span<std::byte> to);

/// The bytes of a trivially copyable object.
template <typename T>
std::span<std::byte> bytes_of(T &object)
{
    return std::as_writable_bytes(std::span<T, 1>(&object, 1));
}
template <typename T>
std::span<const std::byte> const_bytes_of(const T &object)
{
    return std::as_bytes(std::span<const T, 1>(&object, 1));
}

} // namespace clone2
