// SPDX-License-Identifier: MIT
#pragma once

#include "base/procfs.hpp"
#include "target/namespaces.hpp"

#include <span>
#include <string>
#include <sys/types.h>

/// Which of the pids that a call asked for made the kernel refuse it. The kernel does not say, so
/// this is found after the fact. `set_tid`: clone3's, of which the first `extra` entries are for
/// namespaces that are not in `target.chain` (1 with CLONE_NEWPID). Each returns one clause for the
/// log. Thread-safe.

namespace clone2
{

/// After EEXIST: which pid is in use, at which level, and by what now. Slow.
[[nodiscard]] std::string pid_in_use(const Procfs &procfs, const TargetNamespaces &target,
                                     unsigned extra, std::span<const pid_t> set_tid);

/// After EINVAL: which pid can't exist in its namespace, and the range. Empty: none that can be
/// seen, so something else may have been wrong.
[[nodiscard]] std::string pid_out_of_range(const TargetNamespaces &target, unsigned extra,
                                           std::span<const pid_t> set_tid);

} // namespace clone2
