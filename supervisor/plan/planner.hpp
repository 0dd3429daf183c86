// SPDX-License-Identifier: MIT
#pragma once

#include "plan/core.h"
#include "plan/request.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

/// Decides about a call with core.c, and gives the reasons in words.
/// All functions are thread-safe.

namespace clone2
{

/// Facts that only a look at the target shows. Looked up if needs_facts() asks for them.
using Facts = plan_facts;

/// The call fails; nothing happens in the target.
struct Refusal {
    int err = 0;     ///< errno value, > 0
    std::string why; ///< one clause for the log
};

/// The system call that does what the caller asked for.
struct CloneCall : plan_call {
    CloneCall() : plan_call{} {}
};

/// EFAULT: so many bytes of the caller's memory, which are this part of its call, can't be read.
[[nodiscard]] Refusal unreadable(std::string_view part, std::size_t size, std::uint64_t address);

using Plan = std::variant<Refusal, CloneCall>;

/// Whether plan() needs Facts to decide.
[[nodiscard]] bool needs_facts(const Request &request);

/// Decides about the call. `facts` may be missing if needs_facts() is false. `user_end`: see
/// Architecture.
[[nodiscard]] Plan plan(const Request &request, const std::optional<Facts> &facts,
                        std::uint64_t user_end);

/// The call's errno after the kernel failed with `err`. The kernel checks in another order than
/// clone2, so what comes first in clone2's is checked again.
[[nodiscard]] Refusal judge_failure(const CloneCall &call, std::uint32_t nr_pids,
                                    const Facts &facts, int err);

} // namespace clone2
