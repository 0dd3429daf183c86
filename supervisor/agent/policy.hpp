// SPDX-License-Identifier: MIT
#pragma once

#include "agent/process_state.hpp"
#include "plan/request.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <sys/types.h>
#include <vector>

namespace clone2::agent
{

/// Pids first..last, inclusive.
struct PidRange {
    pid_t first = 0;
    pid_t last = 0;
};

/// One rule of a policy: the callers it applies to, and what they may ask for. An absent condition
/// matches every caller; an absent restriction restricts nothing.
struct Rule {
    std::optional<std::set<uid_t>> uids;
    std::optional<std::string> container;           ///< exact text, or a prefix followed by '*'
    std::optional<std::string> metadata;            ///< likewise
    std::map<std::string, std::string> annotations; ///< each likewise

    std::optional<std::string> deny;           ///< refuses every call, for this reason
    std::optional<std::vector<PidRange>> pids; ///< allowed values of every chosen pid (0 is not
                                               ///< chosen)
    std::optional<std::uint64_t> flags;        ///< allowed CLONE_* bits
    /// The number of live processes created by clone2 through one listener. Threads, zombies and
    /// children of fork() don't count.
    std::optional<std::uint32_t> max_children;
};

struct Verdict {
    std::optional<std::string> refusal; ///< the reason for it
    std::optional<std::uint32_t> max_children;
};

/// Decides which calls are served: the first matching rule applies, and a call that matches no rule
/// is refused. It guides cooperating programs and confines none: see SECURITY.md. Pure.
class Policy
{
public:
    explicit Policy(std::vector<Rule> rules) : rules_(std::move(rules)) {}

    [[nodiscard]] Verdict judge(const Subject &subject, const Request &request) const;
    [[nodiscard]] std::span<const Rule> rules() const { return rules_; }
    /// Whether any rule counts children; that needs the results of calls.
    [[nodiscard]] bool counts_children() const;

private:
    std::vector<Rule> rules_;
};

} // namespace clone2::agent
