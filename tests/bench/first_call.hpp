// SPDX-License-Identifier: MIT
#ifndef CLONE2_BENCH_FIRST_CALL_HPP
#define CLONE2_BENCH_FIRST_CALL_HPP

#include "provider.hpp"

#include <chrono>

namespace bench
{

/// Runs a small static program whose first call creates a process with this pid. `took`: that call,
/// the process's exit and the wait for it, without the execve. Returns 0 or the errno.
int first_call(Provider provider, long number, pid_t pid,
               std::chrono::duration<float, std::micro> &took);

} // namespace bench

#endif
