// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "base/procfs.hpp"
#include "base/remote_ptr.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <span>

/// Reads and writes a target's memory. Thread-safe (no state).

namespace clone2
{

/// One piece of a scattered read.
struct RemoteRange {
    RemotePtr from;
    std::span<std::byte> to;
};

/// Reads all pieces in order with process_vm_readv. Returns the number of bytes up to the first
/// unreadable one; stopping there is not an error. Error: EPERM, ESRCH (target gone).
[[nodiscard]] Result<std::size_t> read_memory(pid_t tid, std::span<const RemoteRange> pieces);

/// Reads one whole object; EFAULT if any part of it can't be read.
[[nodiscard]] Result<void> read_exactly(pid_t tid, RemotePtr from, std::span<std::byte> to);

/// Writes through an open /proc/TID/mem, even to write-protected pages. The file always refers to
/// the same address space, whatever happens to the tid, which is only for the error. Nothing is
/// written by tid alone, because a tid can pass to another program.
[[nodiscard]] Result<void> write_file(const Fd &memory, pid_t tid, RemotePtr to,
                                      std::span<const std::byte> from);

/// Reads what the kernel's copy_from_user can read and process_vm_readv can't: on x86, pages mapped
/// writable but not readable. EFAULT for all others.
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
