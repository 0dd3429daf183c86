// SPDX-License-Identifier: MIT
#pragma once

#include "base/result.hpp"
#include "loop/event_loop.hpp"

#include <linux/filter.h>

#include <span>

namespace clone2::cli
{

/// Makes each system call that our processes need, without effect. Returns the error of the first
/// one that a filter refuses. Reported before PROGRAM starts, it explains failures that would be
/// puzzling later.
[[nodiscard]] Result<void> try_needed_calls();

/// Lets an event loop do something.
[[nodiscard]] Result<void> try_event_loop(LoopChoice choice);

/// Takes as many descriptors and processes for a moment as the wrapper does to start.
[[nodiscard]] Result<void> try_resources();

/// A listener installed by a child, as install_filter() reports it.
struct ListenerProbe {
    Error failure; ///< err 0: none
    bool wait_killable = false;
    bool no_new_privs = false;
    bool sync_wake_up = false;
};
/// Installs the filter in a child, and tries its listener. A failure: the same would happen here,
/// and could leave no_new_privs behind, or a filter that nobody serves.
[[nodiscard]] ListenerProbe probe_listener(std::span<const sock_filter> filter);

} // namespace clone2::cli
