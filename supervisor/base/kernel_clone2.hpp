// SPDX-License-Identifier: MIT
#pragma once

namespace clone2
{

/// The number of clone2 on a patched kernel, and the one we use by default.
constexpr int clone2_nr = 387;

/// Whether system call clone2_nr exists.
enum class KernelClone2 {
    absent,
    present,
    /// It answers, but this process has a seccomp filter: the answer may come from another
    /// supervisor.
    behind_filter
};

/// Makes a call that can't succeed. No side effects. Thread-safe.
[[nodiscard]] KernelClone2 probe_kernel_clone2();

} // namespace clone2
