// SPDX-License-Identifier: MIT
#pragma once

#include "agent/process_state.hpp"
#include "request/request.hpp"

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

/// Pids first..last, both included.
struct PidRange {
    pid_t first = 0;
    pid_t last = 0;
};

/// One rule of a policy: whom it is about, and what those may ask for. An absent condition holds
/// for everybody, an absent restriction restricts nothing.
struct Rule {
    std::optional<std::set<uid_t>> uids;
    std::optional<std::string> container; ///< the whole text, or its beginning before a last '*'
    std::optional<std::string> metadata;  ///< likewise
    std::map<std::string, std::string> annotations; ///< each likewise

    std::optional<std::string> deny;           ///< every call is refused, for this reason
    std::optional<std::vector<PidRange>> pids; ///< where every chosen pid must lie (0 is none)
    std::optional<std::uint64_t> flags;        ///< CLONE_* bits that may be set
    /// Processes made by clone2 through one listener that may be alive at once. Threads don't
    /// count, nor zombies, nor children of fork().
    std::optional<std::uint32_t> max_children;
};

struct Verdict {
    std::optional<std::string> refusal; ///< why
    std::optional<std::uint32_t> max_children;
};

/// Which calls are served: the first rule that matches decides; a call that none matches is
/// refused. It guides programs that cooperate and confines nobody: see SECURITY.md. Pure.
class Policy
{
public:
    explicit Policy(std::vector<Rule> rules) : rules_(std::move(rules)) {}

    [[nodiscard]] Verdict judge(const Subject &subject, const Request &request) const;
    [[nodiscard]] std::span<const Rule> rules() const { return rules_; }
    /// Whether any rule counts children, which needs the results of calls.
    [[nodiscard]] bool counts_children() const;

private:
    std::vector<Rule> rules_;
};

} // namespace clone2::agent
