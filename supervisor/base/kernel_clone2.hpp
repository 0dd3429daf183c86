// SPDX-License-Identifier: MIT
#pragma once

namespace clone2
{

/// Whether clone2 exists under a number.
enum class KernelClone2 {
    absent,
    present,
    /// It answers, but this process has a seccomp filter: the answer may come from another
    /// supervisor.
    behind_filter
};

/// Makes a call that can't succeed. No side effects. Thread-safe.
[[nodiscard]] KernelClone2 probe_kernel_clone2(int number);

} // namespace clone2
