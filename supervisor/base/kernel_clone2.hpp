// SPDX-License-Identifier: MIT
#pragma once

namespace clone2
{

/// The number under which a patched kernel has clone2, and by default we give it (SPEC.md,
/// "Call").
constexpr int clone2_nr = 387;

/// Whether system call clone2_nr is there already.
enum class KernelClone2 {
    absent,
    present,
    /// It answers, but a seccomp filter is on this process: the answer may be another
    /// supervisor's.
    behind_filter
};

/// Asks by a call that can't succeed. No side effects. Thread-safe.
[[nodiscard]] KernelClone2 probe_kernel_clone2();

} // namespace clone2
