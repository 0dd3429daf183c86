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

/// Whether the calling thread has a seccomp filter already, or this can't be known.
[[nodiscard]] bool is_filtered();

/// Makes a call that can't succeed. No side effects, but a filter may end the
/// process. Thread-safe.
[[nodiscard]] KernelClone2 probe_kernel_clone2(int number);

} // namespace clone2
