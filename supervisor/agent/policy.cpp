// SPDX-License-Identifier: MIT
#include "agent/policy.hpp"

#include "plan/flags.hpp"

#include <algorithm>

namespace clone2::agent
{

namespace
{

constexpr std::uint64_t exit_signal_bits = 0xff;

bool text_matches(const std::string &pattern, const std::string &text)
{
    if (pattern.ends_with('*')) {
        return text.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1));
    }
    return text == pattern;
}

bool matches(const Rule &rule, const Subject &subject)
{
    if (rule.uids && !rule.uids->contains(subject.uid)) {
        return false;
    }
    if (rule.container && !text_matches(*rule.container, subject.container)) {
        return false;
    }
    if (rule.metadata && !text_matches(*rule.metadata, subject.metadata)) {
        return false;
    }
    return std::all_of(rule.annotations.begin(), rule.annotations.end(), [&](const auto &wanted) {
        const auto found = subject.annotations.find(wanted.first);
        return found != subject.annotations.end() && text_matches(wanted.second, found->second);
    });
}

bool allowed(const std::vector<PidRange> &ranges, pid_t pid)
{
    return std::any_of(ranges.begin(), ranges.end(), [&](const PidRange &range) {
        return range.first <= pid && pid <= range.last;
    });
}

/// "outside 7000..7999,8080".
std::string limits_of(const std::vector<PidRange> &ranges)
{
    std::string text;
    for (const PidRange &range : ranges) {
        text += (text.empty() ? "outside " : ",") + std::to_string(range.first);
        if (range.last != range.first) {
            text += ".." + std::to_string(range.last);
        }
    }
    return text.empty() ? "no pids are" : text;
}

std::optional<std::string> refusal(const Rule &rule, const Request &request)
{
    if (rule.deny) {
        return *rule.deny;
    }
    if (rule.flags) {
        const std::uint64_t beyond = request.flags & ~exit_signal_bits & ~*rule.flags;
        if (beyond != 0) {
            return describe_flags(beyond) + " not allowed: " +
                   (*rule.flags == 0 ? "no flags are" : "only " + describe_flags(*rule.flags));
        }
    }
    if (rule.pids) {
        for (const pid_t pid : request.asked()) {
            if (pid != 0 && !allowed(*rule.pids, pid)) {
                return "pid " + std::to_string(pid) + " not allowed: " + limits_of(*rule.pids);
            }
        }
    }
    return std::nullopt;
}

} // namespace

Verdict Policy::judge(const Subject &subject, const Request &request) const
{
    for (std::size_t i = 0; i < rules_.size(); ++i) {
        if (!matches(rules_[i], subject)) {
            continue;
        }
        Verdict verdict{refusal(rules_[i], request), rules_[i].max_children};
        if (verdict.refusal) {
            *verdict.refusal += " (rule " + std::to_string(i + 1) + " of the policy)";
        }
        return verdict;
    }
    return {"no rule of the policy matches this caller", std::nullopt};
}

bool Policy::counts_children() const
{
    return std::any_of(rules_.begin(), rules_.end(),
                       [](const Rule &rule) { return rule.max_children.has_value(); });
}

} // namespace clone2::agent
