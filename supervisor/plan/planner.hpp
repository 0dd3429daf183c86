// SPDX-License-Identifier: MIT
#pragma once

#include "request/request.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>

/// The decision about a call: pure, without system calls, the same for every executor.
/// Source: tests/conformance/SPEC.md, "Errors" and "Flags".
/// All functions are thread-safe.

namespace clone2
{

/// What only a look at the target can tell. Looked up when needs_facts() asks for it.
struct Facts {
    unsigned level = 0;      ///< of the namespace in which the child will be born; initial = 0
    bool privileged = false; ///< CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE over all asked for
};

/// The call fails; nothing happens in the target.
struct Refusal {
    int err = 0;     ///< errno value, > 0
    std::string why; ///< one clause for the log
};

/// clone3(2) with these arguments does what the caller asked for.
struct CloneCall {
    std::uint64_t flags = 0;
    std::uint64_t pidfd = 0;
    std::uint64_t child_tid = 0;
    std::uint64_t parent_tid = 0;
    std::uint64_t exit_signal = 0;
    std::uint64_t stack = 0;      ///< base
    std::uint64_t stack_size = 0; ///< bytes
    std::uint64_t tls = 0;
    /// Non-zero: the child's stack pointer, which clone3 can't express, to be loaded by the
    /// child itself.
    std::uint64_t child_sp = 0;
    std::array<pid_t, max_pids> set_tid{}; ///< innermost namespace first
    std::uint32_t set_tid_size = 0;
    /// Bit i: set_tid[i] is 0 and must be chosen by us before the call (and may be chosen
    /// again when it turns out to be in use).
    std::uint64_t to_pick = 0;
};

using Plan = std::variant<Refusal, CloneCall>;

/// Whether plan() can't decide without Facts.
[[nodiscard]] bool needs_facts(const Request &request);

/// Decides about the call. `facts` may be missing where needs_facts() is false.
[[nodiscard]] Plan plan(const Request &request, const std::optional<Facts> &facts);

/// The call's errno where clone3 failed with `clone3_err`: the kernel decides in another order
/// than SPEC.md, so what comes first there is looked at again.
[[nodiscard]] Refusal judge_failure(std::uint64_t flags, std::uint32_t nr_pids, const Facts &facts,
                                    int clone3_err);

} // namespace clone2
