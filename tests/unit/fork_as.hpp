// SPDX-License-Identifier: MIT
#pragma once

#include <sys/syscall.h>
#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <functional>
#include <linux/sched.h>
#include <optional>
#include <unistd.h>

namespace clone2::test
{

/// A forked child with this pid. nullopt: not permitted.
inline std::optional<pid_t> fork_as(pid_t pid, const std::function<void()> &body)
{
    clone_args args{};
    args.exit_signal = SIGCHLD;
    args.set_tid = reinterpret_cast<std::uint64_t>(&pid);
    args.set_tid_size = 1;
    const long child = ::syscall(SYS_clone3, &args, CLONE_ARGS_SIZE_VER1);
    if (child == 0) {
        body();
        for (;;) {
            ::pause();
        }
    }
    if (child < 0) {
        return std::nullopt;
    }
    return static_cast<pid_t>(child);
}

} // namespace clone2::test
