// SPDX-License-Identifier: MIT
#pragma once

#include "arch/architecture.hpp"
#include "base/procfs.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace clone2
{

/// The signature of this supervisor in targets of an architecture; the same for each supervisor
/// that may take over from it. What a supervisor installs in a target outlives it together with the
/// listener, and its successor must recognise the code, the area, and the reports from them.
///
/// So it depends on everything that the two must have in common: the code and the layout of the
/// data; the pid namespace, because slots name their owners by tids in it; and the boot, because a
/// process restored elsewhere brings its memory along. It is not secret: a target can read it in
/// its own memory.
///
/// Throws std::system_error if /proc does not show the pid namespace. Thread-safe.
[[nodiscard]] Signature make_signature(const Procfs &procfs, const Architecture &arch);

/// The same from its parts; pure.
[[nodiscard]] Signature make_signature(std::span<const std::byte> code,
                                       std::span<const std::uint64_t> layout,
                                       std::uint64_t pid_namespace_device,
                                       std::uint64_t pid_namespace_inode, std::string_view boot_id);

} // namespace clone2
