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

/// Installs the filter in a child. An error: install_filter() would fail here, too, and could leave
/// no_new_privs behind.
[[nodiscard]] Result<void> try_filter(std::span<const sock_filter> filter);

} // namespace clone2::cli
