// SPDX-License-Identifier: MIT
#include "pids/set_tid.hpp"

#include "pids/culprit.hpp"

#include <cerrno>
#include <span>

namespace clone2
{

namespace
{

/// How many picks of pids one call gets before EBUSY. Each failed pick is followed by a search of
/// /proc, so a second failure means that the pid was taken in between.
constexpr std::uint32_t max_attempts = 32;

std::span<pid_t> used(plan_call &call)
{
    return std::span(call.set_tid).first(call.set_tid_size);
}

} // namespace

Result<PidStrategy::Prepared> SetTid::prepare(pid_t tid, const Request &request,
                                              std::uint64_t user_end)
{
    Prepared prepared;
    std::optional<Facts> facts;
    if (needs_facts(request)) {
        Result<TargetNamespaces> target = inspector_.inspect(tid);
        if (!target) {
            return target.error();
        }
        facts = target->facts(request.nr_pids);
        prepared.target = std::move(*target);
    }
    prepared.plan = plan(request, facts, user_end);
    return prepared;
}

void SetTid::choose(pid_t tid, Prepared &prepared)
{
    auto &call = std::get<CloneCall>(prepared.plan);
    if (call.to_pick != 0) {
        picker_.pick(tid, *prepared.target, call.to_pick, clone2_plan_extra_entries(&call),
                     used(call));
    }
}

PidStrategy::Verdict SetTid::judge(pid_t tid, const Made &made)
{
    if (made.result >= 0) {
        return {made.result, "", false};
    }
    Facts facts{max_pids, true};
    std::optional<TargetNamespaces> target;
    if (made.nr_pids != 0) {
        Result<TargetNamespaces> looked = inspector_.inspect(tid);
        if (looked) {
            facts = looked->facts(made.nr_pids);
            target = std::move(*looked);
        } else if (looked.error().no_descriptor()) {
            return {-looked.error().errno_for_target(), looked.error().refusal(), false};
        } // else the target is gone: the answer reaches no process
    }
    const Refusal refusal =
        judge_failure(made.call, made.nr_pids, facts, static_cast<int>(-made.result));
    Verdict verdict{-refusal.err, refusal.why, false};
    if (made.explain && target) {
        const unsigned extra = clone2_plan_extra_entries(&made.call);
        if (made.result == -EINVAL && made.nr_pids <= target->level + 1) {
            const std::string culprit = pid_out_of_range(*target, extra, used(made.call));
            verdict.why = culprit.empty() ? verdict.why : culprit;
        } else if (refusal.err == EBUSY && made.call.to_pick == 0) {
            verdict.why = pid_in_use(*procfs_, *target, extra, used(made.call));
        }
    }
    if (made.call.to_pick == 0 || made.changed || !target) {
        return verdict;
    }
    if (made.result == -EEXIST && refusal.err == EBUSY) {
        replace_used_picks(*target, made, verdict);
    } else if (made.result == -EINVAL && made.nr_pids <= target->level + 1) {
        replace_high_pick(*target, made, verdict);
    }
    return verdict;
}

void SetTid::replace_used_picks(const TargetNamespaces &target, const Made &made, Verdict &verdict)
{
    const unsigned extra = clone2_plan_extra_entries(&made.call);
    const std::optional<pid_t> busy =
        picker_.repick(target, made.call.to_pick, extra, used(made.call));
    if (busy && *busy != 0) {
        verdict.why = made.explain ? pid_in_use(*procfs_, target, extra, used(made.call))
                                   : "pid " + std::to_string(*busy) + " is in use";
    } else if (!busy || made.attempts >= max_attempts) {
        verdict.why = "no free pid found";
    } else {
        verdict.again = true;
    }
}

void SetTid::replace_high_pick(const TargetNamespaces &target, const Made &made, Verdict &verdict)
{
    const unsigned extra = clone2_plan_extra_entries(&made.call);
    verdict.again = made.attempts < max_attempts &&
                    picker_.wrap(target, made.call.to_pick, extra, used(made.call));
    if (!verdict.again && made.attempts > 0) {
        picker_.unwrap(target, made.call.to_pick, extra, used(made.call));
    }
}

} // namespace clone2
