// SPDX-License-Identifier: MIT
#pragma once

#include "plan/planner.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

/// A second opinion on calls, written from SPEC.md alone, with a model of what clone(2) and
/// clone3(2) themselves refuse. Together they give the final outcome of a plan.

namespace clone2::test
{

// clone(2)'s flags, spelled out: the oracle must not share a header's mistake with the planner.
constexpr std::uint64_t vm = 0x100;
constexpr std::uint64_t sighand = 0x800;
constexpr std::uint64_t pidfd = 0x1000;
constexpr std::uint64_t ptrace_flag = 0x2000;
constexpr std::uint64_t vfork_flag = 0x4000;
constexpr std::uint64_t parent = 0x8000;
constexpr std::uint64_t thread = 0x10000;
constexpr std::uint64_t settls = 0x80000;
constexpr std::uint64_t parent_settid = 0x100000;
constexpr std::uint64_t child_cleartid = 0x200000;
constexpr std::uint64_t detached = 0x400000;
constexpr std::uint64_t untraced = 0x800000;
constexpr std::uint64_t child_settid = 0x1000000;
constexpr std::uint64_t newpid = 0x20000000;
constexpr std::uint64_t clear_sighand = 1ULL << 32U;
constexpr std::uint64_t into_cgroup = 1ULL << 33U;

/// x86-64, four-level page tables: the last page below 2^47 is not available to user space.
constexpr std::uint64_t user_end = (1ULL << 47U) - 4096;

inline Plan plan(const Request &request, const std::optional<Facts> &facts)
{
    return clone2::plan(request, facts, user_end);
}

/// What an allowed call must do.
struct Effect {
    std::uint64_t flags = 0;       ///< those that clone3 accepts and an untraced caller can observe
    std::uint64_t exit_signal = 0; ///< 0: none, or one that is never delivered
    std::uint64_t stack_pointer = 0; ///< 0: the parent's
    std::uint64_t pidfd = 0;
    std::uint64_t child_tid = 0;
    std::uint64_t parent_tid = 0;
    std::uint64_t tls = 0;
    std::vector<pid_t> set_tid; ///< innermost first; 0: any
    bool operator==(const Effect &) const = default;
};

/// The errno that SPEC.md requires, or the effect.
using Verdict = std::variant<int, Effect>;

[[nodiscard]] Verdict spec_verdict(const Request &request, const Facts &facts);

/// clone3's own errno for this call in a kernel where `facts` hold and every pid is free; 0: none.
/// If not privileged, the caller lacks only the outermost namespace asked for.
[[nodiscard]] int clone3_refusal(const CloneCall &call, const Request &request, const Facts &facts);

[[nodiscard]] Effect effect_of(const CloneCall &call);

/// Runs the planner with facts, and also without if it says it needs none, and compares the outcome
/// with spec_verdict(). Empty: they agree; otherwise the difference.
[[nodiscard]] std::string disagreement(const Request &request, const Facts &facts);

/// Counts disagreements and keeps the first, so that a million cases need one assertion.
class Tally
{
public:
    void compare(const Request &request, const Facts &facts);
    [[nodiscard]] const std::string &first() const { return first_; }
    [[nodiscard]] std::size_t compared() const { return compared_; }
    [[nodiscard]] std::size_t wrong() const { return wrong_; }

private:
    std::string first_;
    std::size_t compared_ = 0;
    std::size_t wrong_ = 0;
};

} // namespace clone2::test
